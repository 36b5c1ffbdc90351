"""Mixed precision's GradScaler: by how much it scales, and the steps it skips."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from rankzero.plugin import guarded, report
from rankzero_pytorch.internals import scale_of
from rankzero_pytorch.zero_change.losses import Losses
from rankzero_pytorch.zero_change.optimizers import number

NAME = "pytorch"


class Scaling:
    """The scaler in use, if any.

    Attributes:
        scaler: it.
        stepped: how many optimizer steps there were, told by whoever counts them.
    """

    def __init__(self, losses: Losses) -> None:
        self.stepped = 0
        self._losses = losses
        self.scaler: weakref.ref[Any] | None = None
        self._skipped = 0
        self._skipped_on_device: Tensor | None = None

    def take(self, optimizer: Optimizer) -> dict[str, Any] | None:
        """The factor of this step, and how many steps were skipped so far because gradients were not finite."""
        scaler = None if self.scaler is None else self.scaler()
        scale = None if scaler is None else scale_of(scaler)
        if scale is None:
            return None
        infinite = getattr(optimizer, "found_inf", None)
        if isinstance(infinite, Tensor):
            self._count(infinite.detach())
        on_device = self._skipped_on_device
        skipped = self._skipped if on_device is None else on_device + self._skipped
        return {"optim/scale": number(scale), "optim/skipped": skipped}

    def around_scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `GradScaler.scale`."""
        scaled = guarded("noticing a scaled loss")(self._losses.scaled)

        def scale(scaler: Any, outputs: Any) -> Any:
            result = original(scaler, outputs)
            if isinstance(outputs, Tensor):
                scaled(result, outputs)
            return result

        return scale

    def around_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `GradScaler.step`."""
        stepped = guarded("noticing a scaler's step")(self._noticed)

        def step(scaler: Any, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
            before = self.stepped
            if self.scaler is None or self.scaler() is not scaler:
                self.scaler = weakref.ref(scaler)
                report("optim/scale", "recorded" if scaler.is_enabled() else "off", NAME)
            result = original(scaler, optimizer, *args, **kwargs)
            stepped(before)
            return result

        return step

    def _noticed(self, before: int) -> None:
        if self.stepped == before:
            self._skipped += 1
            self._losses.drop()

    def _count(self, infinite: Tensor) -> None:
        """A fused optimizer decides on its device whether it skips the step."""
        if infinite.device.type == "cpu":
            self._skipped += int(infinite.item() != 0)
        else:
            new = (infinite != 0).to(infinite.dtype)
            self._skipped_on_device = new if self._skipped_on_device is None else self._skipped_on_device + new
