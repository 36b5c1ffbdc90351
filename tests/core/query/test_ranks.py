"""The ranks side by side, and which one the others wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rankzero.query import open_run

if TYPE_CHECKING:
    from tests.core.conftest import Journals

FAST, SLOW = [0.010, 0.011, 0.010] * 10, [0.21, 0.20, 0.22] * 10


def _slowest(journals: Journals, *ranks: dict[str, list[float]]) -> int | None:
    """The slowest of ranks with the given times per step."""
    for rank, times in enumerate(ranks):
        scribe = journals.writer(rank=rank, start={"world_size": len(ranks)})
        for name, values in times.items():
            scribe.curve(f"time/{name}", values, local=True)
    slowest = open_run(journals.folder()).slowest
    return None if slowest is None else slowest.rank


def test_the_busy_rank_of_a_synchronous_job(journals: Journals) -> None:
    """Where all steps take the same time, the rank that is busy while the others wait is named."""
    waiting = {"step": SLOW, "busy": FAST}
    assert _slowest(journals, waiting, waiting, {"step": SLOW, "busy": SLOW}, waiting) == 2


def test_within_twenty_steps(journals: Journals) -> None:
    """A rank that becomes slow late is named after twenty steps, though most of its steps were as fast as the others'."""
    long = FAST * 10
    assert _slowest(journals, {"busy": long}, {"busy": long + SLOW[:20]}) == 1


def test_nobody_is_named_without_a_clear_difference(journals: Journals) -> None:
    """Noise, or a difference of a few milliseconds, names nobody; nor does a job of one rank."""
    assert _slowest(journals, {"busy": [0.100] * 20}, {"busy": [0.115] * 20}) is None
    journals.root = journals.root.with_name("small")
    assert _slowest(journals, {"busy": [0.001] * 20}, {"busy": [0.004] * 20}) is None
    journals.root = journals.root.with_name("alone")
    assert _slowest(journals, {"busy": SLOW}) is None


def test_ranks_that_do_not_wait_for_each_other(journals: Journals) -> None:
    """Without a record of busy time, steps that differ tell."""
    assert _slowest(journals, {"step": FAST}, {"step": SLOW}) == 1


def test_slow_input(journals: Journals) -> None:
    """Without a record of busy time, a rank that waits for its input while its peers do not is named."""
    fast, slow = {"step": SLOW, "input": [0.001] * 30}, {"step": SLOW, "input": [0.150] * 30}
    assert _slowest(journals, slow, fast, fast) == 0
    journals.root = journals.root.with_name("little")
    slow = {"step": SLOW, "input": [0.020] * 30}
    assert _slowest(journals, slow, fast, fast) is None


def test_each_rank_is_described(journals: Journals) -> None:
    """Host, medians, last step and own series of every rank of the last attempt; a second claimant is not one of them."""
    for attempt in (1, 2):
        for rank in range(2):
            start = {"host": f"h{attempt}{rank}", "world_size": 2, "local_rank": rank, "node": 0}
            scribe = journals.writer(attempt=attempt, rank=rank, at=100.0 * attempt, start=start)
            scribe.rows(["time/step", "time/input"], [(s, s, 0.1 * (s + rank), 0.01) for s in range(3)], local=True)
            scribe.end(4, exit_code=rank)
    journals.writer(attempt=2, rank=0, at=200, writer="r0-h-77")
    ranks = open_run(journals.folder()).ranks
    assert [(r.rank, r.host, r.last_step, r.exit_code, r.series) for r in ranks] == [
        (0, "h20", 2, 0, ["time/step", "time/input"]),
        (1, "h21", 2, 1, ["time/step", "time/input"]),
    ]
    assert [r.step_time for r in ranks] == [pytest.approx(0.1), pytest.approx(0.2)]
    assert "recent" not in ranks[0].document()
