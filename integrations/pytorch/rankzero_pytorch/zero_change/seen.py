"""What is seen of a training loop between two optimizer steps."""

from __future__ import annotations

from dataclasses import dataclass

from rankzero_pytorch.zero_change.clock import Clock
from rankzero_pytorch.zero_change.gaps import Gaps
from rankzero_pytorch.zero_change.losses import Losses
from rankzero_pytorch.zero_change.phases import Phases
from rankzero_pytorch.zero_change.samples import Samples
from rankzero_pytorch.zero_change.scaling import Scaling


@dataclass(frozen=True, slots=True)
class Seen:
    """Each part listens to one thing; whoever records takes from them at every step."""

    clock: Clock
    gaps: Gaps
    losses: Losses
    phases: Phases
    samples: Samples
    scaling: Scaling
