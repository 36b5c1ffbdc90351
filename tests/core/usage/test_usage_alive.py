"""Alive time: what a journal's lines prove, and what they do not."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from rankzero.usage import Attempt, Writer, timeline, usage

NOON = 1_764_590_400.0
"""A UTC noon, in seconds since the epoch."""


def _beats(start: int, end: int, cpu: float = 0.0, pace: float = 1.0) -> list[tuple[float, float]]:
    """A beat every second from start to end; the process had used `cpu` seconds at start and uses `pace` cores."""
    return [(float(t), cpu + pace * (t - start)) for t in range(start, end + 1)]


def _steps(times: Iterable[float], first: int = 1) -> list[tuple[float, int]]:
    return [(t, first + index) for index, t in enumerate(times)]


def _alone(**facts: object) -> float:
    """The wall seconds of a run with one writer."""
    return usage([Attempt(number=1, writers=[Writer(started=NOON, **facts)])]).wall_s  # type: ignore[arg-type]


def test_kill_gap_resume_and_suspension() -> None:
    """20 s and a kill, a 30 s gap, 15 s, 40 s suspended, 10 s: 45 s of wall time, four times that in process-seconds."""
    first = [
        Writer(
            rank=rank, name=f"r{rank}", started=NOON, beats=_beats(0, 20), steps=_steps([2 + i / 2 for i in range(36)])
        )
        for rank in range(4)
    ]
    resumed = [
        Writer(
            rank=rank,
            name=f"r{rank}",
            started=NOON + 50,
            beats=_beats(0, 15) + _beats(55, 65, cpu=15.1),
            steps=_steps([3 + i / 2 for i in range(24)] + [55.5 + i / 2 for i in range(19)], first=30),
            ended=(65.0, "finished"),
        )
        for rank in range(4)
    ]
    found = usage(
        [
            Attempt(number=1, writers=first, world_size=4, devices=4, device_kind="H100"),
            Attempt(number=2, writers=resumed, world_size=4, devices=4, device_kind="H100"),
        ]
    )
    assert found.wall_s == pytest.approx(45.0)
    assert found.tracked_s == found.wall_s
    assert found.process_s == found.per_process_s == pytest.approx(180.0)
    assert found.device_s == pytest.approx(180.0)
    assert sum(found.phases.values()) == pytest.approx(found.wall_s)
    assert found.phases["redone"] == pytest.approx(3.0)
    assert found.warnings == ()


def test_an_attempt_without_an_end_ends_at_its_last_line() -> None:
    """After kill -9 nothing is added to what was written, whatever kind the last line has."""
    assert _alone(beats=_beats(0, 20)) == 20.0
    assert _alone(beats=_beats(0, 20), lines=[20.7]) == 20.7
    assert _alone(beats=_beats(0, 20), steps=[(20.9, 3)]) == 20.9
    assert _alone(beats=_beats(0, 20), ended=(21.5, "failed")) == 21.5


def test_a_silence_of_ten_seconds_counts() -> None:
    """Only a silence of more than ten seconds is judged at all."""
    assert _alone(beats=_beats(0, 5) + _beats(15, 20, cpu=5.0)) == 20.0
    assert _alone(beats=_beats(0, 5) + _beats(16, 20, cpu=5.0)) == 9.0


@pytest.mark.parametrize("cores", [0.2, 1.0, 8.0])
def test_a_long_compilation_is_alive(cores: float) -> None:
    """A process that computed without letting the writer run was alive, and before its first step that is start-up."""
    beats = _beats(0, 3) + _beats(63, 70, cpu=3.0 + 60 * cores)
    found = usage([Attempt(number=1, writers=[Writer(started=NOON, beats=beats, steps=_steps([63.5, 64.5, 65.5]))])])
    assert found.wall_s == 70.0
    assert found.phases["startup"] == 63.5


@pytest.mark.parametrize("cores", [0.01, 1.0, 8.0])
def test_a_suspended_process_is_not_alive_however_busy_it_was(cores: float) -> None:
    """CPU used between the last beat and the stop, or between the wake and the next beat, does not make the stop alive."""
    before, after = _beats(0, 20, pace=cores), _beats(61, 70, cpu=21.7 * cores, pace=cores)
    found = _alone(beats=before + after, lines=[20.25, 20.5, 20.9, 60.2, 60.6])
    assert found == pytest.approx(20.9 + (70 - 60.2))


def test_a_journal_that_opened_late_counts_from_its_start() -> None:
    """A process may wait for its rank before it opens the journal; it was alive since the journal's t = 0."""
    assert _alone(beats=_beats(31, 40, cpu=0.2)) == 40.0


def test_without_beats_a_silence_proves_nothing() -> None:
    """Where no beat says that the process computed, a long silence is not alive time."""
    assert _alone(lines=[5.0, 50.0, 52.0]) == 7.0
    assert _alone(beats=_beats(0, 5), lines=[50.0]) == 5.0


def test_one_suspended_rank_does_not_stop_the_job() -> None:
    """Silence is judged per process, and the job is alive while any of its processes is."""
    stopped = Writer(rank=0, started=NOON, beats=_beats(0, 10) + _beats(50, 60, cpu=10.0))
    waiting = Writer(rank=1, started=NOON, beats=_beats(0, 60))
    assert usage([Attempt(number=1, writers=[stopped, waiting], world_size=2)]).wall_s == 60.0


def test_a_second_rank_zero_adds_nothing_and_is_reported() -> None:
    """Two processes that both log as rank zero are one job; trackers with one run per process would count both."""
    true = Writer(name="r0", started=NOON, beats=_beats(0, 60))
    wrong = Writer(name="r0-4711", started=NOON - 2, beats=_beats(0, 50), steps=_steps([1, 2, 3]))
    found = usage([Attempt(number=1, writers=[wrong, true])])
    assert (found.wall_s, found.process_s, found.per_process_s) == (60.0, 60.0, 110.0)
    assert found.phases["startup"] == 60.0
    assert found.warnings == ("attempt 1: 2 processes wrote as rank 0 (r0, r0-4711); their time is counted once",)


def test_overlapping_attempts_count_once_in_wall_time() -> None:
    """Two attempts side by side: wall time is their union, device time their sum, and the reader is told."""
    attempts = [
        Attempt(number=1, writers=[Writer(started=NOON, beats=_beats(0, 100))], devices=2),
        Attempt(number=2, writers=[Writer(started=NOON + 60, beats=_beats(0, 100))], devices=2),
    ]
    found = usage(attempts)
    assert (found.wall_s, found.device_s) == (160.0, 400.0)
    assert sum(found.phases.values()) == 160.0
    assert sum(found.device_phases.values()) == 400.0
    assert found.warnings == ("attempt 2 ran beside an earlier one for 40.0 s; wall time counts that once",)
    assert {number: each.wall_s for number, each in timeline(attempts).by_attempt().items()} == {1: 100.0, 2: 100.0}


@pytest.mark.parametrize("jump", [-86400.0, -30.0, 3600.0])
def test_a_clock_set_between_attempts_changes_nothing(jump: float) -> None:
    """On one boot of one machine attempts are placed by its monotonic clock: no false overlap, no false gap."""
    attempts = [
        Attempt(number=1, writers=[Writer(started=NOON, boot="b", clock=500.0, beats=_beats(0, 20))]),
        Attempt(number=2, writers=[Writer(started=NOON + 40 + jump, boot="b", clock=540.0, beats=_beats(0, 20))]),
    ]
    found = usage(attempts)
    assert (found.wall_s, found.warnings) == (40.0, ())


@pytest.mark.parametrize("wrong", [-7200.0, 0.7, 7200.0])
def test_a_machine_with_a_wrong_clock_does_not_lengthen_an_attempt(wrong: float) -> None:
    """An attempt on two machines lasts as long as the one that lived longest, whatever their wall clocks say."""
    first = Writer(rank=0, started=NOON, boot="a", beats=_beats(0, 100))
    other = Writer(rank=8, started=NOON + wrong, boot="b", clock=9.0, beats=_beats(0, 98))
    assert usage([Attempt(number=1, writers=[first, other], world_size=16)]).wall_s == 100.0


def test_many_machines_with_wrong_clocks_do_not_lengthen_an_attempt() -> None:
    """Each machine is placed inside or around those before it, not only the first."""
    lives = [(NOON, 50), (NOON - 7200, 100), (NOON + 7200, 100)]
    writers = [Writer(rank=i, started=wall, boot=f"b{i}", beats=_beats(0, end)) for i, (wall, end) in enumerate(lives)]
    assert usage([Attempt(number=1, writers=writers, world_size=3)]).wall_s == 100.0


def test_writers_of_one_machine_are_placed_exactly() -> None:
    """A rank that opened its journal later and lived on extends the attempt by exactly that."""
    first = Writer(rank=0, started=NOON, boot="a", clock=10.0, beats=_beats(0, 100))
    later = Writer(rank=1, started=NOON - 999, boot="a", clock=100.0, beats=_beats(0, 30))
    assert usage([Attempt(number=1, writers=[first, later], world_size=2)]).wall_s == 120.0


@pytest.mark.timeout(60)
def test_a_million_beats_with_many_stops_are_summed_at_once() -> None:
    """The sums grow with the ledger, not with its square."""
    beats = [(t + t // 20 * 30.0, 0.0) for t in range(1_000_000)]
    assert _alone(beats=beats) == pytest.approx(50_000 * 19.0)
