"""DeepSpeed's ZeRO (which compiles for a minute when it is first used): stages 1 to 3 on CPU."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rankzero.records.parts import combine

if TYPE_CHECKING:
    from tests.integrations.pytorch.conftest import Job

SCRIPT = str(Path(__file__).parent / "scripts" / "zero.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("deepspeed") is None, reason="deepspeed is not installed: make test-deepspeed"
    ),
]


@pytest.mark.parametrize("stage", [1, 2, 3])
@pytest.mark.parametrize("watched", [False, True])
def test_every_rank_records_its_part(job: Job, root: Path, read: Any, stage: int, watched: bool) -> None:
    """The parts of the gradients' norm add up to the whole model's, watched by hand or with no change."""
    printed = job(SCRIPT, str(stage), *(["watch"] if watched else []), processes=2, below=not watched).stdout
    norm = json.loads([line for line in printed.splitlines() if line.startswith("{")][-1])["norm"]
    found = read(root)
    parts = [found.values("grad/norm#sumsq", rank)[0] for rank in (0, 1)]
    assert combine({"sumsq": parts}) == pytest.approx(norm, rel=1e-3)
    if not watched:
        assert found.config["model"]["parameters"] == 676
