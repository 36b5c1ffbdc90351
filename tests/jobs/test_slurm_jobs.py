"""Jobs of a real Slurm: one job is one run, a requeued job goes on with its run, an allocation alone makes no ranks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.jobs.conftest import RANKZERO, SCRIPTS, Jobs
from tests.launchers.slurm import SlurmCluster
from tests.waiting import until

BY_HAND = str(SCRIPTS / "by_hand.py")
pytestmark = [pytest.mark.slow, pytest.mark.launcher]


def _slurm(jobs: Jobs, cluster: SlurmCluster, *command: str) -> str:
    """Run one of Slurm's commands with this test's root folder; what it printed."""
    environ = cluster.environ() | {name: value for name, value in jobs.environ().items() if name.startswith("RANKZERO")}
    done = subprocess.run(
        command, env=environ, cwd=jobs.folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _batch(jobs: Jobs, cluster: SlurmCluster, line: str, *options: str) -> str:
    """Submit a batch script of one line; the job's number."""
    script = jobs.folder / "job.sh"
    script.write_text(f"#!/bin/bash\n{line}\n")
    told = _slurm(jobs, cluster, "sbatch", "--parsable", "--requeue", "--open-mode=append", *options, str(script))
    return told.strip().split(";")[0]


def _attempt_has_rows(jobs: Jobs, attempt: int, ranks: int) -> bool:
    found = [
        path for path in jobs.journals() if path.name.startswith(f"{attempt:04d}-r") and path.stat().st_size > 1500
    ]
    return len(found) == ranks


def test_srun_on_two_nodes(jobs: Jobs, slurm_cluster: SlurmCluster) -> None:
    """`srun -n 4` on two nodes is one run of four ranks and two nodes."""
    _slurm(jobs, slurm_cluster, "srun", "-N", "2", "-n", "4", sys.executable, BY_HAND)
    run = jobs.only()
    assert (run["world_size"], run["nodes"], run["state"]) == (4, 2, "finished")
    assert len(jobs.shown()["ranks"]) == 4


def test_every_task_below_a_rankzero_run_of_its_own(jobs: Jobs, slurm_cluster: SlurmCluster) -> None:
    """`srun -n 4 rankzero run python train.py` is still one run."""
    _slurm(jobs, slurm_cluster, "srun", "-n", "4", RANKZERO, "run", "--quiet", sys.executable, BY_HAND)
    run = jobs.only()
    assert (run["world_size"], run["nodes"], run["state"]) == (4, 1, "finished")


def test_a_requeued_job_continues_its_run(jobs: Jobs, slurm_cluster: SlurmCluster) -> None:
    """Slurm takes the job back and starts it again: the same run, its next attempt, and no hour twice."""
    job = _batch(jobs, slurm_cluster, f"srun -n 4 {sys.executable} {BY_HAND} --steps 100000", "-n", "4")
    until("the first attempt", lambda: _attempt_has_rows(jobs, 1, 4))
    slurm_cluster.requeue(job)
    until("the second attempt", lambda: _attempt_has_rows(jobs, 2, 4), 90)
    states = [attempt["state"] for attempt in jobs.shown()["attempts_detail"]]
    slurm_cluster.run("scancel", job)
    slurm_cluster.wait(job)
    run = jobs.only()
    assert (run["attempts"], run["world_size"], run["state"]) == (2, 4, "preempted")
    assert states == ["preempted", "running"]


def test_a_requeued_batch_script_without_srun(jobs: Jobs, slurm_cluster: SlurmCluster) -> None:
    """A batch script that trains without srun continues its run when it is requeued, too."""
    job = _batch(jobs, slurm_cluster, f"exec {sys.executable} {BY_HAND} --steps 100000", "-n", "4")
    until("the first attempt", lambda: _attempt_has_rows(jobs, 1, 1))
    slurm_cluster.requeue(job)
    until("the second attempt", lambda: _attempt_has_rows(jobs, 2, 1), 90)
    slurm_cluster.run("scancel", job)
    slurm_cluster.wait(job)
    run = jobs.only()
    assert (run["attempts"], run["world_size"]) == (2, 1)


def test_an_allocation_without_srun_has_one_rank(jobs: Jobs, slurm_cluster: SlurmCluster) -> None:
    """Eight allocated tasks and one process are one rank."""
    _slurm(jobs, slurm_cluster, "salloc", "-n", "8", sys.executable, BY_HAND)
    assert (jobs.only()["world_size"], jobs.only()["state"]) == (1, "finished")


def test_an_array_is_as_many_runs(jobs: Jobs, slurm_cluster: SlurmCluster) -> None:
    """The tasks of a job array are jobs, hence runs, of their own."""
    _batch(jobs, slurm_cluster, f"{sys.executable} {BY_HAND}", "--array=0-2", f"--output={Path('/dev/null')}")
    until("three runs", lambda: len([run for run in jobs.listed() if run["state"] == "finished"]) == 3, 90)
    assert [run["world_size"] for run in jobs.listed()] == [1, 1, 1]
