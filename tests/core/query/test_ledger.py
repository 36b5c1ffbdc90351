"""From journals to usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rankzero.query import open_run
from rankzero.records import Meta, Phase

if TYPE_CHECKING:
    from tests.core.conftest import Journals


def test_hours_of_a_run_that_was_killed_and_went_on(journals: Journals) -> None:
    """Four ranks for 20 s, killed, resumed after a gap for 15 s: 35 s of wall time, four times that in process-seconds."""
    for rank in range(4):
        journals.writer(rank=rank, start={"world_size": 4}).beats(20)
        journals.writer(attempt=2, rank=rank, at=50, start={"world_size": 4}).beats(15).end(15)
    usage = open_run(journals.folder()).usage
    assert usage.wall_s == usage.tracked_s == pytest.approx(35)
    assert [usage.process_s, usage.device_s] == pytest.approx([140, 0])
    assert sum(usage.phases.values()) == pytest.approx(usage.wall_s)


def test_steps_input_and_phases_of_rank_zero_make_goodput(journals: Journals) -> None:
    """Step marks, waits, compilations and phases of rank zero are read; samples of the machine are no steps."""
    scribe = journals.writer().rows(["system/cpu"], [(0, 0.5, 1.0), (0, 5.0, 1.0)], local=True)
    scribe.rows(["loss", "time/input"], [(step, 10 + step, 1.0, 0.25) for step in range(11)])
    scribe.rows(["time/compile"], [(0, 9.0, 8.0), (4, 14.5, 8.25)], local=True)
    scribe.add(Phase(t=20_000_000, phase="evaluation"), Phase(t=24_000_000, phase="")).end(25)
    journals.writer(rank=1).curve("loss", [1.0] * 3)
    phases = open_run(journals.folder()).usage.phases
    expected = {"startup": 10.25, "input": 2.5, "step": 7.25, "evaluation": 4, "idle": 1}
    assert {name: phases[name] for name in expected} == pytest.approx(expected)


def test_devices_of_all_ranks_count(journals: Journals) -> None:
    """Device-seconds are those of all ranks; ranks that wrote nothing have as many devices as rank zero."""
    for rank in range(2):
        scribe = journals.writer(rank=rank, start={"world_size": 4}).add(Meta(devices=0))
        scribe.add(Meta(devices=1, device_kind="H100")).beats(10).end(10)
    usage = open_run(journals.folder()).usage
    assert usage.device_s == pytest.approx(40)
    assert usage.device_kinds == {"H100": pytest.approx(40)}


def test_a_second_rank_zero_adds_nothing_and_is_reported(journals: Journals) -> None:
    """Two processes that both say they are rank zero: their time counts once, and the run says so."""
    journals.writer().beats(10).end(10)
    second = journals.writer(writer="r0-host-99").beats(10)
    second.event(0.1, "second-rank-zero", "a second process says that it is rank 0").end(10)
    view = open_run(journals.folder()).load()
    assert view.usage.wall_s == pytest.approx(10)
    assert any("second process" in warning for warning in view.warnings)
    assert any("counted once" in warning for warning in view.warnings)
