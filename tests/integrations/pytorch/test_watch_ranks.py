"""Watching a model that several ranks train together: real process groups on gloo, beside the same model held whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rankzero.records.parts import combine, split

if TYPE_CHECKING:
    from tests.integrations.pytorch.conftest import Job, Recorded

SCRIPT = str(Path(__file__).parent / "scripts" / "ranks_by_hand.py")

pytestmark = pytest.mark.slow


def _result(job: Job, *arguments: str, processes: int = 2) -> dict[str, Any]:
    lines = [line for line in job(SCRIPT, *arguments, processes=processes).stdout.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def _whole(recorded: Recorded) -> dict[str, list[float]]:
    """The job's metrics: those recorded whole, and those whose parts are added as a reader does."""
    whole = {key: recorded.values(key) for key in recorded.series if split(key) is None}
    parts: dict[str, dict[str, list[list[float]]]] = {}
    for key, ranks in recorded.series.items():
        found = split(key)
        if found is not None:
            assert {tuple(recorded.steps(key, rank)) for rank in ranks} == {(0, 1, 2)}
            parts.setdefault(found[0], {})[found[1]] = [recorded.values(key, rank) for rank in ranks]
    for key, rules in parts.items():
        steps = len(next(iter(rules.values()))[0])
        whole[key] = [
            combine({rule: [values[step] for values in ranks] for rule, ranks in rules.items()})
            for step in range(steps)
        ]
    return whole


@pytest.mark.parametrize(
    ("how", "processes"), [("ddp", 2), ("fsdp", 2), ("fsdp", 4), ("hsdp", 4), ("tp", 2), ("fsdp1", 2)]
)
def test_norms_are_those_of_the_whole_model(job: Job, root: Path, read: Any, how: str, processes: int) -> None:
    """Gradients, clipped and not, parameters and updates: within 1e-3 of the same model held and trained whole.

    A step has the same collectives as before the model was watched.
    """
    result = _result(job, how, processes=processes)
    recorded = read(root)
    whole = _whole(recorded)
    for key, values in result["expected"].items():
        assert whole[key] == pytest.approx(values, rel=1e-3), key
    assert whole["grad/nonfinite"] == [0, 0, 0]
    before, watched = result["collectives"]
    assert before == watched
    assert before
    assert bool(recorded.local & {"grad/norm#sumsq"}) == (how != "ddp")


def test_only_one_rank_may_watch(job: Job, root: Path, read: Any) -> None:
    """Nobody waits for a rank that does not watch: the job ends, and what one rank holds is recorded."""
    _result(job, "fsdp", "only-rank-zero-watches")
    assert list(read(root).series["grad/norm#sumsq"]) == [0]
