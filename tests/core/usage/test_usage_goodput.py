"""Goodput: where each second of a run goes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from rankzero.usage import PHASES, Attempt, Writer, timeline, usage

NOON = 1_764_590_400.0


def _writer(until: float, *, state: str | None = "finished", since: float = 0.0, **facts: object) -> Writer:
    """A process that beat every second until it ended in `state`, or just stopped to write if that is None."""
    beats = [(float(t), float(t)) for t in range(int(until) + 1)]
    ended = None if state is None else (until, state)
    return Writer(started=NOON + since, beats=beats, lines=[until], ended=ended, **facts)  # type: ignore[arg-type]


def _phases(writer: Writer) -> dict[str, float]:
    """The phases that took time, rounded to a microsecond; they must sum to the wall time."""
    found = usage([Attempt(number=1, writers=[writer])])
    assert sum(found.phases.values()) == pytest.approx(found.wall_s, abs=1e-9)
    assert tuple(found.phases) == PHASES
    return {name: round(seconds, 6) for name, seconds in found.phases.items() if seconds}


def _every(seconds: float, start: float, end: float, first: int = 1) -> list[tuple[float, int]]:
    """A step mark every so many seconds from start to end."""
    return [(start + i * seconds, first + i) for i in range(round((end - start) / seconds) + 1)]


def _joined(*parts: Iterable[tuple[float, int]]) -> list[tuple[float, int]]:
    return [mark for part in parts for mark in part]


def test_without_a_step_all_is_startup() -> None:
    """An attempt that never made a step got nowhere, even where it evaluated."""
    assert _phases(_writer(30)) == {"startup": 30.0}
    assert _phases(_writer(30, phases=[(5.0, "evaluation"), (9.0, "")])) == {"startup": 30.0}


def test_startup_step_and_idle() -> None:
    """Start-up lasts to the first mark, idle is what follows the last one of an attempt that finished."""
    assert _phases(_writer(60, steps=_every(1, 12, 50))) == {"startup": 12.0, "step": 38.0, "idle": 10.0}


def test_evaluation_and_checkpoint_are_taken_out() -> None:
    """What the run recorded as evaluation or checkpoint is that, after the last step too; other names are steps."""
    phases = [
        (20.5, "evaluation"),
        (30.5, "checkpoint"),
        (33.5, ""),
        (40.0, "warmup"),
        (52.0, "checkpoint"),
        (55.0, ""),
    ]
    steps = _joined(_every(1, 10, 20), _every(1, 34, 50, first=12))
    found = _phases(_writer(60, steps=steps, phases=phases))
    assert found == {"startup": 10.0, "step": 27.0, "evaluation": 10.0, "checkpoint": 6.0, "idle": 7.0}


def test_what_is_compiled_later_is_startup() -> None:
    """A step that is compiled again is no stall; what is compiled in an evaluation is part of that, and nothing counts twice."""
    steps = _joined(_every(1, 10, 20), _every(1, 51, 60, first=12))
    compiles = [(9.0, 9.0), (40.0, 15.0), (50.0, 20.0)]
    found = _phases(_writer(60, steps=steps, phases=[(22.0, "evaluation"), (26.0, "")], compiles=compiles))
    assert found == {"startup": 34.0, "step": 22.0, "evaluation": 4.0}


def test_a_phase_that_never_ended_lasts_to_the_end() -> None:
    """A process killed in its checkpoint was checkpointing."""
    found = _phases(_writer(40, state=None, steps=_every(1, 10, 30), phases=[(30.0, "checkpoint")]))
    assert found == {"startup": 10.0, "step": 20.0, "checkpoint": 10.0}


def test_input_wait() -> None:
    """Seconds waited for input belong to the step they delayed, also where they are logged just after its mark."""
    steps = _every(1, 10, 30)
    waits = [(t + 0.001, 0.25) for t, _ in steps]
    found = _phases(_writer(31, steps=steps, waits=waits))
    assert found == {"startup": 10.0, "step": 15.0, "input": 5.0, "idle": 1.0}


def test_a_wait_logged_just_after_its_mark_belongs_to_the_step_before() -> None:
    """The row with the wait may follow the row with the loss; a short next step must not cut it."""
    found = _phases(_writer(16, steps=[(10.0, 1), (14.0, 2), (14.5, 3)], waits=[(14.001, 3.0)]))
    assert found == {"startup": 10.0, "step": 1.5, "input": 3.0, "idle": 1.5}


def test_input_wait_never_exceeds_its_step() -> None:
    """A wait that claims more than the step lasted is cut, so that the phases still sum to the total."""
    assert _phases(_writer(12, steps=_every(1, 10, 12), waits=[(11.0, 99.0)])) == {
        "startup": 10.0,
        "step": 1.0,
        "input": 1.0,
    }


def test_steps_done_before_are_redone() -> None:
    """A resumed attempt repeats steps 41 to 60 of the first: their time, with its input wait, is redone."""
    first = _writer(70.5, state=None, steps=_every(1, 11, 70))
    steps = _every(1, 6, 65, first=41)
    second = _writer(65, since=100, steps=steps, waits=[(t, 0.1) for t, _ in steps])
    attempts = [Attempt(number=2, writers=[second]), Attempt(number=1, writers=[first])]
    by_attempt = timeline(attempts).by_attempt()
    assert by_attempt[1].phases["redone"] == 0.0
    assert by_attempt[2].phases["redone"] == pytest.approx(19.0)
    assert by_attempt[2].phases["input"] == pytest.approx(4.0)
    assert by_attempt[2].phases["step"] == pytest.approx(36.0)
    assert usage(attempts).phases["startup"] == pytest.approx(17.0)


def test_redone_counts_from_the_farthest_attempt() -> None:
    """A third attempt repeats what the first had done, though the second did not get that far."""
    reached = [(60, 1), (10, 41), (40, 41)]
    attempts = [
        Attempt(number=n, writers=[_writer(10 + count, since=200 * n, steps=_every(1, 11, 10 + count, first=first))])
        for n, (count, first) in enumerate(reached)
    ]
    by_attempt = timeline(attempts).by_attempt()
    assert [each.phases["redone"] for each in by_attempt.values()] == [0.0, 9.0, 19.0]
    assert by_attempt[2].phases["step"] == 20.0


def test_a_stall_between_steps() -> None:
    """A step of more than ten typical ones is one typical step, the rest stalled; one of nine is a long step."""
    steps = _joined(_every(1, 10, 20), _every(1, 80, 90, first=12), _every(1, 99, 110, first=23))
    assert _phases(_writer(110, steps=steps)) == {"startup": 10.0, "step": 41.0, "stalled": 59.0}


def test_a_hang_until_killed_is_stalled() -> None:
    """A job that hung until somebody killed it was stalled since; one that was killed in a step was in that step."""
    assert _phases(_writer(90, state="killed", steps=_every(1, 10, 20))) == {
        "startup": 10.0,
        "step": 11.0,
        "stalled": 69.0,
    }
    assert _phases(_writer(90, state=None, steps=_every(1, 10, 20)))["stalled"] == 69.0
    assert _phases(_writer(21.5, state=None, steps=_every(1, 10, 20))) == {"startup": 10.0, "step": 11.5}


def test_a_resumed_attempt_that_hangs_early_knows_the_typical_step() -> None:
    """What a typical step is, the whole run says."""
    first = _writer(60, state=None, steps=_every(1, 10, 60))
    second = _writer(300, state=None, since=100, steps=[(10.0, 52)])
    found = usage([Attempt(number=1, writers=[first]), Attempt(number=2, writers=[second])])
    assert found.phases["stalled"] == pytest.approx(289.0)


def test_waiting_for_input_or_evaluation_is_no_stall() -> None:
    """A long step whose time is accounted for by another phase is not stalled."""
    steps = _joined(_every(1, 10, 20), _every(1, 81, 90, first=12))
    phases = [(20.5, "evaluation"), (80.5, "")]
    assert _phases(_writer(90, steps=steps, phases=phases)) == {"startup": 10.0, "step": 20.0, "evaluation": 60.0}
    assert _phases(_writer(90, steps=steps, waits=[(81.0, 60.0)])) == {"startup": 10.0, "step": 20.0, "input": 60.0}


def test_suspended_time_is_no_stall() -> None:
    """Time in which the process was stopped is in no phase at all."""
    beats = [(float(t), float(t)) for t in range(21)] + [(float(t), t - 60.0) for t in range(80, 91)]
    steps = _joined(_every(1, 10, 20), _every(1, 81, 90, first=12))
    assert _phases(Writer(started=NOON, beats=beats, steps=steps)) == {"startup": 10.0, "step": 20.0}


def test_an_epoch_logged_at_once_is_no_stall() -> None:
    """Where a script logs a hundred steps at the end of each minute, a minute is its typical step."""
    steps = [(60.0 * epoch + i * 2e-6, 100 * epoch + i) for epoch in range(1, 6) for i in range(100)]
    assert _phases(_writer(300.5, steps=steps)) == {"startup": 60.0, "step": 240.0, "idle": 0.5}


def test_a_step_that_starts_over_every_epoch_is_progress() -> None:
    """Progress is a change of step, so counting from zero in every epoch is no stall; logging one step again is none."""
    steps = [(10.0 + i, i % 20) for i in range(61)]
    again = [(t + 0.4, step) for t, step in steps]
    assert _phases(_writer(71, steps=steps + again)) == {"startup": 10.0, "step": 60.0, "idle": 1.0}


def test_goodput_in_device_seconds() -> None:
    """Every device-second and every process-second lands in one phase, attempts of different size included."""
    first = Attempt(number=1, writers=[_writer(60, steps=_every(1, 10, 60))], devices=8, world_size=8)
    second = Attempt(
        number=2, writers=[_writer(60, since=100, steps=_every(1, 20, 60, first=52))], devices=4, world_size=5
    )
    found = usage([first, second])
    assert (found.device_s, found.process_s) == (720.0, 780.0)
    assert found.device_phases["startup"] == 160.0
    assert found.device_phases["step"] == 560.0
    assert sum(found.process_phases.values()) == 780.0
