"""Sums of usage: by day, by project, and as plain data."""

from __future__ import annotations

import json

import pytest

from rankzero.usage import PHASES, Attempt, Usage, Writer, grouped, timeline, total, usage

MIDNIGHT = 1_764_547_200.0
"""2025-12-01, 00:00 UTC."""


def _run(started: float, seconds: int, devices: int = 0, joules: float = 0.0) -> list[Attempt]:
    beats = [(float(t), float(t)) for t in range(seconds + 1)]
    writer = Writer(
        started=started, beats=beats, steps=[(t, int(t)) for t, _ in beats[10:]], ended=(seconds, "finished")
    )
    return [Attempt(number=1, writers=[writer], devices=devices, device_kind="A100", joules=joules)]


def test_days_are_cut_at_utc_midnight() -> None:
    """A run across midnight gives each day its own part, in every number."""
    days = timeline(_run(MIDNIGHT - 5, 105, devices=2, joules=210.0)).by_day()
    assert {day: part.wall_s for day, part in days.items()} == {"2025-11-30": 5.0, "2025-12-01": 100.0}
    assert [part.phases["startup"] for part in days.values()] == [5.0, 5.0]
    assert [part.device_kinds for part in days.values()] == [{"A100": 10.0}, {"A100": 200.0}]
    assert [part.energy_j for part in days.values()] == pytest.approx([10.0, 200.0])


def test_days_without_work_are_left_out() -> None:
    """A run resumed after a month names two days, not thirty."""
    attempts = [*_run(MIDNIGHT, 20), Attempt(number=2, writers=_run(MIDNIGHT + 30 * 86400, 20)[0].writers)]
    assert list(timeline(attempts).by_day()) == ["2025-12-01", "2025-12-31"]


def test_groups_sum_by_any_key() -> None:
    """Usage is added up by project, by user, or by both in a tuple."""
    one, two = usage(_run(MIDNIGHT, 20)), usage(_run(MIDNIGHT, 30, devices=4))
    groups = grouped([("vision", one), ("speech", two), ("vision", two)])
    assert {key: (each.wall_s, each.device_s) for key, each in groups.items()} == {
        "vision": (50.0, 120.0),
        "speech": (30.0, 120.0),
    }
    assert groups["vision"].cpu_process_s == 20.0
    assert list(grouped([(("speech", "ada"), one)])) == [("speech", "ada")]


def test_a_run_that_wrote_nothing_used_nothing() -> None:
    """No attempt, no writer or a single line is zero of everything, never an error."""
    nothing = [usage([]), usage([Attempt(number=1, writers=[])]), total([])]
    assert all(each == Usage() for each in nothing)
    assert timeline([]).by_day() == {}
    single = usage([Attempt(number=1, writers=[Writer(started=MIDNIGHT)])])
    assert (single.wall_s, sum(single.phases.values())) == (0.0, 0.0)


def test_to_json_is_plain_data() -> None:
    """The dictionary is what `--json` prints: every number by its name, every phase named."""
    plain = usage(_run(MIDNIGHT, 20, devices=1)).to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert list(plain) == [
        "wall_s",
        "tracked_s",
        "device_s",
        "process_s",
        "per_process_s",
        "phases",
        "device_phases",
        "process_phases",
        "device_kinds",
        "cpu_process_s",
        "energy_j",
        "warnings",
    ]
    assert tuple(plain["phases"]) == PHASES
    assert plain["tracked_s"] == plain["wall_s"] == 20.0
