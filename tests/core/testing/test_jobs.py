"""Functions and commands as jobs of real processes, and what is read back of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rankzero.testing import Jobs, Recorded, only

PROGRAMS = Path(__file__).parent / "programs.py"


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    """An empty folder."""
    return Jobs(tmp_path)


def test_a_function_is_a_job_of_two(jobs: Jobs) -> None:
    """It is called in two processes that know who they are, record one run, and return what they return."""
    outcomes = jobs.call(f"{PROGRAMS}:who", {"number": 3}, ranks=2)
    found = jobs.only()
    assert [one.result for one in outcomes] == [[rank, 2, found.id, False] for rank in (0, 1)]
    assert (found.ranks, found.state, found.config) == ([0, 1], "finished", {"number": 3})
    assert dict(found.series["mine"]) == {0: [(0, 3)], 1: [(0, 3)]}
    assert (found.values("ours"), found.values("ours", rank=1)) == ([3], [])
    assert {"mine"} <= found.local
    assert "pytest" not in outcomes[0].loaded


def test_one_rank_without_recording(jobs: Jobs) -> None:
    """A rank that is not recorded finds rankzero disabled and is not below `rankzero run`; the others record."""
    outcomes = jobs.call(f"{PROGRAMS}:who", {"number": 1}, ranks=2, unrecorded_rank=1, below=True)
    assert [one.result[3] for one in outcomes] == [False, True]
    assert jobs.only().ranks == [0]


def test_started_again(jobs: Jobs) -> None:
    """A job that fails is started again, and is the next attempt of its run; what it left is that of the last start."""
    (outcome,) = jobs.call(f"{PROGRAMS}:fails_once", restarts=1)
    found = jobs.only()
    assert outcome.result == "second"
    assert [attempt.values("start") for attempt in found.attempts] == [[0], [1]]
    assert found.attempts[0].events("exception")[0].message.endswith("on purpose")


def test_a_failing_rank_ends_the_job(jobs: Jobs) -> None:
    """The others are stopped, the exit code is the failed rank's, and what was printed says why."""
    with pytest.raises(AssertionError, match="no such rank"):
        jobs.call(f"{PROGRAMS}:fails_on_rank_one", ranks=2)
    assert jobs.call(f"{PROGRAMS}:fails_on_rank_one", ranks=2, code=1) == []


def test_a_command_that_hangs_is_stopped(jobs: Jobs) -> None:
    """It ends with all its children when its time is over."""
    command = [sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '600'])"]
    with pytest.raises(AssertionError, match="stopped after 1 s"):
        jobs.run(command, timeout=1)


def test_the_launcher_that_is_given(jobs: Jobs) -> None:
    """Any launcher's command line goes in front."""
    jobs.call(f"{PROGRAMS}:who", {"number": 2}, launcher=["env", "RANKZERO_PROJECT=other"])
    assert jobs.only().project == "other"


def test_what_the_program_logs_stands_first(jobs: Jobs) -> None:
    """Of a metric that an integration records and the program logs too, the program's values are the metric's."""
    jobs.call(f"{PROGRAMS}:logs_beside_an_integration")
    found = jobs.only()
    assert (found.values("loss"), found.values("grad/norm")) == ([0.5], [2.0])


def test_what_arrives_late_stands_where_it_was_logged(jobs: Jobs) -> None:
    """The order of a metric's values does not depend on when a device had them ready."""
    jobs.call(f"{PROGRAMS}:logs_what_arrives_late")
    assert jobs.only().series["loss"][0] == [(0, 1.0), (1, 2.0)]


def test_no_run_is_an_error(tmp_path: Path) -> None:
    """Whoever expects one run hears how many there are."""
    with pytest.raises(AssertionError, match="found 0"):
        only(tmp_path)


def test_only_one_attempt(jobs: Jobs) -> None:
    """A run can be read an attempt at a time."""
    jobs.call(f"{PROGRAMS}:fails_once", restarts=1)
    found = Recorded(jobs.only().folder, attempt=2)
    assert ([start.attempt for start in found.starts], found.values("start")) == ([2], [1])
