"""How often samples are taken."""

from __future__ import annotations

import itertools

import pytest

from rankzero_pytorch import schedule
from rankzero_pytorch.schedule import SHARE, Schedule


def _simulate(monkeypatch: pytest.MonkeyPatch, *, step: float, first: float, cost: float, steps: int) -> list[int]:
    """The steps sampled by a loop whose steps and samples take so long; the first sample takes longer."""
    now = [0.0]
    monkeypatch.setattr(schedule, "perf_counter", lambda: now[0])
    found = Schedule(None)
    sampled: list[int] = []
    for number in range(1, steps + 1):
        now[0] += step
        if found.due(number):
            spent = cost if sampled else first
            now[0] += spent
            sampled.append(number)
            found.spent(spent, number)
    return sampled


@pytest.mark.parametrize(("step", "cost"), [(2e-3, 2e-4), (0.5, 0.03), (2e-3, 1e-6), (1e-3, 0.02)])
def test_sampling_costs_half_a_percent(monkeypatch: pytest.MonkeyPatch, step: float, cost: float) -> None:
    """However long a step and a sample take, all samples together take at most half a percent of the time."""
    steps = 20_000
    sampled = _simulate(monkeypatch, step=step, first=0.1, cost=cost, steps=steps)
    assert (len(sampled) - 2) * cost <= SHARE * steps * step * 1.01
    assert len(sampled) * cost >= 0.4 * min(SHARE, cost / step) * steps * step


def test_ranks_that_choose_differently_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of the rank that samples less are steps of every other."""
    many = _simulate(monkeypatch, step=1e-3, first=0.1, cost=1e-4, steps=5_000)
    few = _simulate(monkeypatch, step=1e-3, first=0.3, cost=7e-4, steps=5_000)
    assert set(few) <= set(many)
    assert len(few) > 10


def test_a_given_distance_is_kept() -> None:
    """The first step and every n-th after it."""
    fixed = Schedule(10)
    fixed.spent(1.0, 1)
    fixed.spent(1.0, 11)
    assert [step for step in range(1, 32) if fixed.due(step)] == [1, 11, 21, 31]
    assert all(map(Schedule(1).due, itertools.islice(itertools.count(1), 5)))
