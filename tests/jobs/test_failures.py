"""What goes wrong in real jobs, done to real jobs: the run tells it right, and the job ends as it would have ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.jobs.conftest import RANKZERO, SCRIPTS, Jobs, alive
from tests.launchers.commands import torchrun
from tests.waiting import until

BY_HAND = str(SCRIPTS / "by_hand.py")
pytestmark = pytest.mark.slow


def _pids(folder: Path, count: int) -> list[int]:
    found = list(folder.glob("*")) if folder.is_dir() else []
    return [int(path.read_text()) for path in found if path.read_text()] if len(found) == count else []


def _logged(jobs: Jobs) -> bool:
    return sum(path.stat().st_size for path in jobs.journals()) > 3000


def test_the_rank_that_raised_is_the_first_failure(jobs: Jobs) -> None:
    """Rank 3 of 4 raises and torchrun ends the others: the run failed, and shows rank 3's traceback and host."""
    jobs.run(*torchrun("--nproc-per-node=4"), BY_HAND, "--rank", "3", "--steps", "500", "--pause", "0.05", code=1)
    run = jobs.only()
    assert run["state"] == "failed"
    assert run["exit_code"] == 1
    failure = jobs.shown()["first_failure"]
    assert failure["rank"] == 3
    assert "rank 3 has had enough" in failure["traceback"]
    assert failure["host"] == os.uname().nodename


def test_a_rank_killed_for_memory(jobs: Jobs) -> None:
    """One rank gets SIGKILL, as from the kernel's out-of-memory killer: the run crashed, and that rank is named."""
    command = [
        *torchrun("--nproc-per-node=3"),
        BY_HAND,
        "--rank",
        "2",
        "--what",
        "kill",
        "--steps",
        "500",
        "--pause",
        "0.05",
    ]
    jobs.run(*command, code=1)
    assert jobs.only()["state"] == "crashed"
    assert jobs.shown()["first_failure"]["rank"] == 2


def test_sigterm_preempts_and_keeps_every_stack(jobs: Jobs, tmp_path: Path) -> None:
    """SIGTERM to the launcher reaches the ranks: preempted, the time is right, every rank's stack is kept."""
    pids = tmp_path / "pids"
    process = jobs.start([*torchrun("--nproc-per-node=2"), BY_HAND, "--steps", "10000", "--pids", str(pids)])
    until("both ranks", lambda: len(_pids(pids, 2)) == 2)
    until("rows", lambda: _logged(jobs))
    until("both listen", lambda: sum("system/process_memory" in path.read_text() for path in jobs.journals()) == 2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode != 0
    run = jobs.only()
    assert run["state"] == "preempted"
    folder = jobs.root / "jobs" / run["id"]
    for rank in range(2):
        assert "by_hand.py" in (folder / "stacks" / f"0001-r{rank}.txt").read_text()
    assert not any(alive(pid) for pid in _pids(pids, 2))


def test_the_launcher_is_killed(jobs: Jobs, tmp_path: Path) -> None:
    """Kill -9 of `rankzero run` hits its command too, as if that had been killed itself: crashed, nothing stays behind."""
    pids = tmp_path / "pids"
    command = [RANKZERO, "run", sys.executable, BY_HAND, "--steps", "10000", "--pids", str(pids)]
    process = jobs.start(command)
    until("rows", lambda: _pids(pids, 1) and _logged(jobs))
    (job,) = _pids(pids, 1)
    process.kill()
    process.wait(30)
    until("the end of the job", lambda: not alive(job))
    process.communicate(timeout=30)
    run = jobs.only()
    assert run["state"] == "crashed"
    left = [one.info["cmdline"] for one in psutil.process_iter(["cmdline"])]
    assert [words for words in left if words and str(pids) in words] == []


def test_a_stopped_and_continued_job_is_still_one_attempt(jobs: Jobs, tmp_path: Path) -> None:
    """SIGSTOP for a while and SIGCONT: finished, one attempt, and what was not alive is not counted."""
    pids = tmp_path / "pids"
    process = jobs.start([sys.executable, BY_HAND, "--steps", "100", "--pause", "0.03", "--pids", str(pids)])
    until("rows", lambda: _pids(pids, 1) and _logged(jobs))
    process.send_signal(signal.SIGSTOP)
    time.sleep(13)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60)
    assert process.returncode == 0
    run = jobs.only()
    assert (run["state"], run["attempts"]) == ("finished", 1)
    assert 2 < run["usage"]["wall_s"] < 8


def test_a_rank_that_hangs_leaves_every_ranks_stack(jobs: Jobs, tmp_path: Path) -> None:
    """When no rank steps for the configured while, every rank's stack is kept without ending anything."""
    pids = tmp_path / "pids"
    command = [*torchrun("--nproc-per-node=2"), str(SCRIPTS / "hang_in_collective.py"), str(pids)]
    process = jobs.start(command, environ={"RANKZERO_STALL_AFTER": "2"})
    until("two stack dumps", lambda: len(list(jobs.root.glob("*/*/stacks/*"))) == 2 and all(
        path.stat().st_size for path in jobs.root.glob("*/*/stacks/*")))  # fmt: skip
    texts = [path.read_text() for path in sorted(jobs.root.glob("*/*/stacks/*"))]
    assert all("hang_in_collective.py" in text for text in texts)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=90)
    warnings = jobs.shown()["warnings"]
    assert any("stack" in str(warning) for warning in warnings)


def test_ctrl_c(jobs: Jobs, tmp_path: Path) -> None:
    """Ctrl-C in the terminal of `rankzero run python train.py`: killed, and the code is the one of a Ctrl-C."""
    pids = tmp_path / "pids"
    command = [RANKZERO, "run", "--quiet", sys.executable, BY_HAND, "--steps", "10000", "--pids", str(pids)]
    process = jobs.start(command, start_new_session=True)
    until("rows", lambda: _pids(pids, 1) and _logged(jobs))
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode in {-signal.SIGINT, 128 + signal.SIGINT}
    assert jobs.only()["state"] == "killed"


def test_a_second_process_that_claims_rank_zero(jobs: Jobs) -> None:
    """Two processes of one job that both say they are rank zero: one run, no double hours, and a warning that says so."""
    script = (
        f"{sys.executable} {BY_HAND} --steps 60 --pause 0.05 & {sys.executable} {BY_HAND} --steps 60 --pause 0.05; wait"
    )
    jobs.run(
        "bash", "-c", script, environ={"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    )
    run = jobs.only()
    assert run["usage"]["wall_s"] < 6
    assert any("rank 0" in str(warning) for warning in jobs.shown()["warnings"])


@pytest.mark.parametrize("code", [0, 7])
def test_rankzero_run_ends_as_its_command_ends(jobs: Jobs, code: int) -> None:
    """The exit code of a job is unchanged, with and without a recorded run in it."""
    jobs.run(RANKZERO, "run", sys.executable, "-c", f"raise SystemExit({code})", code=code)
    assert jobs.listed() == []
    subprocess.run([RANKZERO, "ls"], env=jobs.environ(), check=True, capture_output=True)
