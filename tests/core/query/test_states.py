"""What became of a run: its state, exit code, end and first failure."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.waiting import until

from rankzero.query import RunView, open_run
from rankzero.query.strictjson import iso
from rankzero.ranks import process_started

if TYPE_CHECKING:
    from tests.core.conftest import Journals

WALL = 1_760_000_000.0


def _state(journals: Journals) -> tuple[str, int | None, float | None]:
    view = open_run(journals.folder())
    return view.state, view.exit_code, None if view.ended is None else view.ended - WALL


def _job(journals: Journals, ranks: int = 4, until: int = 20, **how: object) -> None:
    """Ranks that beat until `until`; those in `how["ends"]` then end in the given way."""
    ends = how.get("ends", {})
    assert isinstance(ends, dict)
    for rank in range(ranks):
        scribe = journals.writer(rank=rank, start={"world_size": ranks}).beats(until)
        if rank in ends:
            t, state, code = ends[rank]
            scribe.end(t, state, code, "SIGTERM" if state == "preempted" else "")


def test_finished(journals: Journals) -> None:
    """All ranks reached their end: finished, exit code 0, ended with the last of them."""
    _job(journals, ends={rank: (20.5 + rank, "finished", 0) for rank in range(4)})
    assert _state(journals) == ("finished", 0, 23.5)
    assert open_run(journals.folder()).first_failure is None


def test_killed_without_a_word(journals: Journals) -> None:
    """Kill -9 of everything: crashed, ended with the last line, no exit code invented."""
    _job(journals)
    assert _state(journals) == ("crashed", None, 20.0)
    failure = open_run(journals.folder()).first_failure
    assert failure is not None
    assert "without a word" in failure.message


def test_the_exit_code_that_rankzero_run_saw(journals: Journals) -> None:
    """Where rank zero could not say it, the exit code is the command's; nothing else is taken from that journal."""
    _job(journals, ranks=2)
    journals.writer(rank=-1, at=-30, writer="job-x").end(90, "failed", 137)
    view = open_run(journals.folder())
    assert _state(journals) == ("crashed", 137, 20.0)
    assert (view.created, view.last_attempt.ranks, len(view.ranks)) == (WALL, [0, 1], 2)


def test_one_rank_raises_and_the_launcher_terminates_the_others(journals: Journals) -> None:
    """The rank that raised is the failure and gives the exit code, not those that were told to stop."""
    _job(journals, ranks=3, ends=dict.fromkeys(range(3), (20.3, "preempted", 143)))
    raising = journals.writer(rank=3, start={"world_size": 4, "host": "far"}).beats(20)
    raising.event(20.1, "exception", "no such file", type="FileNotFoundError", traceback="Traceback\n...").end(
        20.2, "failed", 1
    )
    assert _state(journals)[:2] == ("failed", 1)
    failure = open_run(journals.folder()).first_failure
    assert failure is not None
    assert (failure.rank, failure.host, failure.type, failure.exit_code) == (3, "far", "FileNotFoundError", 1)
    assert failure.traceback.startswith("Traceback")


def test_the_earliest_of_several_exceptions_is_the_failure(journals: Journals) -> None:
    """Errors that follow from the first one on other ranks are not the failure."""
    for rank, t in ((0, 20.4), (1, 20.1), (2, 20.3)):
        scribe = journals.writer(rank=rank, start={"world_size": 3}).beats(20)
        scribe.event(t, "exception", f"boom {rank}", type="ValueError").end(t + 0.1, "failed", 1)
    failure = open_run(journals.folder()).first_failure
    assert failure is not None
    assert failure.message == "boom 1"


def test_an_exit_code_alone_is_a_failure(journals: Journals) -> None:
    """sys.exit(3) is a failure with that exit code."""
    _job(journals, ranks=1, ends={0: (20.0, "failed", 3)})
    assert _state(journals) == ("failed", 3, 20.0)


@pytest.mark.parametrize(("state", "code"), [("preempted", 143), ("killed", 130)])
def test_terminated_from_outside(journals: Journals, state: str, code: int) -> None:
    """SIGTERM to all ranks is a preemption, SIGINT a kill; errors that follow from it change nothing."""
    _job(journals, ranks=2, ends=dict.fromkeys(range(2), (20.2, state, code)))
    late = journals.writer(rank=2, start={"world_size": 3}).beats(20)
    late.event(20.4, "exception", "lost the others", type="RuntimeError").end(20.5, "failed", 1)
    assert _state(journals)[:2] == (state, code)
    assert open_run(journals.folder()).first_failure is None


def test_out_of_memory_kill_of_one_rank(journals: Journals) -> None:
    """A rank that died silently is the cause, though the others ended by SIGTERM or by an error about the lost peer."""
    _job(journals, ranks=2, ends={0: (20.9, "preempted", 143), 1: (20.9, "preempted", 143)})
    journals.writer(rank=2, start={"world_size": 4}).beats(20)
    echo = journals.writer(rank=3, start={"world_size": 4}).beats(20)
    message = "[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1234"
    echo.event(20.6, "exception", message, type="RuntimeError").end(20.7, "failed", 1)
    view = open_run(journals.folder())
    assert view.state == "crashed"
    assert view.first_failure is not None
    assert view.first_failure.rank == 2


def test_a_real_error_just_before_a_silent_death_is_the_cause(journals: Journals) -> None:
    """A launcher that kills the other ranks outright does not turn a failure into a crash."""
    _job(journals, ranks=3)
    raising = journals.writer(rank=3, start={"world_size": 4}).beats(20)
    raising.event(20.7, "exception", "bad shape", type="ValueError").end(20.8, "failed", 1)
    assert _state(journals)[:2] == ("failed", 1)


def test_lost_peers_only(journals: Journals) -> None:
    """Where nothing but errors about lost peers was heard of, the first of them is the failure."""
    scribe = journals.writer().beats(20)
    scribe.event(20.1, "exception", "Connection reset by peer", type="RuntimeError").end(20.2, "failed", 1)
    assert _state(journals)[:2] == ("failed", 1)


def test_announced_preemption(journals: Journals) -> None:
    """After mark_preempting a death is a preemption, an orderly end is one, and an exception stays one."""
    journals.writer(run="died").beats(20).event(19.0, "preempting")
    journals.writer(run="ended").beats(20).event(19.0, "preempting").end(20)
    journals.writer(run="raised").beats(20).event(19.0, "preempting").event(19.5, "exception", "x").end(20, "failed", 1)
    states = [open_run(journals.folder(run)).state for run in ("died", "ended", "raised")]
    assert states == ["preempted", "finished", "failed"]


def test_the_last_attempt_says_how_the_run_stands(journals: Journals) -> None:
    """A run that failed and was requeued to its end is finished; the failed attempt stays visible."""
    journals.writer().beats(5).event(5, "exception", "x").end(5, "failed", 1)
    journals.writer(attempt=2, at=100).beats(7).end(7)
    view = open_run(journals.folder())
    assert (view.state, view.exit_code, view.ended) == ("finished", 0, WALL + 107)
    assert [(a.number, a.state, a.exit_code) for a in view.attempts] == [(1, "failed", 1), (2, "finished", 0)]
    assert view.created == WALL
    assert iso(view.created) == "2025-10-09T08:53:20.000Z"


def test_lost_first_line(journals: Journals) -> None:
    """A journal whose first line is lost, or which is still empty, takes rank and attempt from its name."""
    scribe = journals.writer(attempt=3, rank=2, writer="r2")
    scribe.path.write_bytes(b"\0" * 40)
    os.utime(scribe.path, (WALL, WALL))
    view = open_run(journals.folder())
    assert (view.last_attempt.number, view.last_attempt.ranks, view.state) == (3, [2], "crashed")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def _view_of(
    journals: Journals, process: subprocess.Popen[bytes], started: float | None = None, clock: float = 0.0
) -> RunView:
    own = {"host": socket.gethostname(), "pid": process.pid, "clock": clock}
    journals.writer(start={**own, "pid_started": process_started(process.pid) if started is None else started})
    return open_run(journals.folder())


def test_a_living_process_is_running_however_silent(journals: Journals, sleeper: subprocess.Popen[bytes]) -> None:
    """A stopped or computing process whose last line is old is still running."""
    assert _view_of(journals, sleeper).state == "running"
    sleeper.send_signal(signal.SIGSTOP)
    view = open_run(journals.folder())
    assert (view.state, view.ended, view.exit_code) == ("running", None, None)
    sleeper.send_signal(signal.SIGCONT)


def test_a_killed_process_is_seen_at_once(journals: Journals, sleeper: subprocess.Popen[bytes]) -> None:
    """Right after kill -9, and before anybody has waited for the process, the run is crashed."""
    _view_of(journals, sleeper)
    sleeper.kill()
    until("the state", lambda: open_run(journals.folder()).state == "crashed")


def test_another_process_with_the_same_number_is_not_taken_for_it(
    journals: Journals, sleeper: subprocess.Popen[bytes]
) -> None:
    """A recycled process id does not keep a dead run alive."""
    assert _view_of(journals, sleeper, started=process_started(sleeper.pid) - 3600, clock=0.01).state == "crashed"


def test_a_process_survives_a_jump_of_the_wall_clock(journals: Journals, sleeper: subprocess.Popen[bytes]) -> None:
    """When the wall clock was set meanwhile, a process that was there before the journal is still the writer."""
    started = process_started(sleeper.pid) - 3600
    assert _view_of(journals, sleeper, started=started, clock=time.monotonic()).state == "running"


def test_on_another_machine_the_last_line_decides(journals: Journals) -> None:
    """A writer elsewhere is running for some seconds after its last line."""
    now = time.time() - WALL
    journals.writer(run="fresh", at=now - 60).beats(58)
    journals.writer(run="stale", at=now - 60).beats(20)
    assert [open_run(journals.folder(run)).state for run in ("fresh", "stale")] == ["running", "crashed"]
