"""Every launcher that can be had here: one job is exactly one run, with the right world size and number of nodes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.jobs.conftest import RANKZERO, SCRIPTS, Jobs
from tests.launchers.commands import free_ports, openmpi, torchrun

BY_HAND = str(SCRIPTS / "by_hand.py")
DDP = str(SCRIPTS / "ddp.py")
pytestmark = pytest.mark.slow


def _assert_one_run(jobs: Jobs, world_size: int, nodes: int = 1, state: str = "finished") -> dict[str, object]:
    run = jobs.only()
    assert (run["world_size"], run["nodes"], run["state"]) == (world_size, nodes, state)
    shown = jobs.shown(run["id"])
    assert len(shown["ranks"]) == world_size
    return shown


def test_torchrun_by_hand(jobs: Jobs) -> None:
    """Four ranks that all call rankzero.init are one run; only rank zero speaks for the job, each for itself."""
    jobs.run(*torchrun("--nproc-per-node=4"), BY_HAND)
    shown = _assert_one_run(jobs, 4)
    metrics = shown["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["loss"]["count"] == 10
    assert metrics["loss"]["scope"] == "global"
    assert metrics["time/step"]["count"] == 40
    assert metrics["time/step"]["scope"] == "local"


def test_torchrun_with_no_change(jobs: Jobs) -> None:
    """An ordinary DDP script below `rankzero run torchrun` is one run of four ranks."""
    jobs.run(RANKZERO, "run", *torchrun("--nproc-per-node=4"), DDP)
    shown = _assert_one_run(jobs, 4)
    metrics = shown["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["loss"]["count"] == 30
    assert metrics["time/step"]["count"] >= 4 * 29
    config = shown["config"]
    assert isinstance(config, dict)
    assert config["lr"] == 0.05


def test_two_nodes_of_one_rendezvous(jobs: Jobs) -> None:
    """Two torchruns that meet at one rendezvous are one run of two nodes, each below a `rankzero run` of its own."""
    meeting = [
        "--nnodes=2",
        "--nproc-per-node=2",
        "--rdzv-backend=c10d",
        "--rdzv-id=7",
        f"--rdzv-endpoint=127.0.0.1:{free_ports(1)[0]}",
    ]
    nodes = [jobs.start([RANKZERO, "run", *torchrun(*meeting), DDP]) for _ in range(2)]
    for node in nodes:
        printed, _ = node.communicate(timeout=180)
        assert node.returncode == 0, printed
    _assert_one_run(jobs, 4, nodes=2)


def test_the_same_rendezvous_again_is_another_run(jobs: Jobs) -> None:
    """A second job with the same rendezvous id and address is a run of its own."""
    endpoint = f"--rdzv-endpoint=127.0.0.1:{free_ports(1)[0]}"
    for _ in range(2):
        meeting = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=7", endpoint]
        nodes = [jobs.start([*torchrun(*meeting), BY_HAND]) for _ in range(2)]
        for node in nodes:
            printed, _ = node.communicate(timeout=180)
            assert node.returncode == 0, printed
    assert [run["world_size"] for run in jobs.listed()] == [2, 2]


def test_spawn_without_any_environment(jobs: Jobs) -> None:
    """Ranks started by torch.multiprocessing.spawn have no variables at all and are still one run."""
    jobs.run(RANKZERO, "run", sys.executable, DDP, "--spawn", "4", "--port", str(free_ports(1)[0]))
    _assert_one_run(jobs, 4)


def test_elastic_restart_is_the_next_attempt(jobs: Jobs) -> None:
    """A rank fails, torchrun starts all again: one run, two attempts, finished."""
    jobs.run(
        *torchrun("--nproc-per-node=2", "--max-restarts=1"), BY_HAND,
        "--rank", "1", "--what", "exit", "--only-first-attempt", "--pause", "0.1",
    )  # fmt: skip
    run = jobs.only()
    assert (run["attempts"], run["state"], run["world_size"]) == (2, "finished", 2)
    assert run["usage"]["tracked_s"] < 30


@pytest.mark.launcher
def test_open_mpi(jobs: Jobs) -> None:
    """Four ranks of mpirun are one run, with and without `rankzero run` around it."""
    jobs.run(*openmpi(4), sys.executable, BY_HAND)
    _assert_one_run(jobs, 4)
    jobs.run(RANKZERO, "run", *openmpi(2), sys.executable, BY_HAND)
    assert sorted(run["world_size"] for run in jobs.listed()) == [2, 4]


def test_several_jobs_in_one_launch_stay_apart(jobs: Jobs) -> None:
    """A shell script that trains twice below one `rankzero run` makes two runs."""
    script = f"{sys.executable} {BY_HAND} && {sys.executable} {BY_HAND}"
    jobs.run(RANKZERO, "run", "bash", "-c", script)
    assert [run["state"] for run in jobs.listed()] == ["finished", "finished"]


def test_no_collective_of_ours(jobs: Jobs) -> None:
    """The program calls exactly the collectives it would have called, and ends with the same weights."""
    counted = [*torchrun("--nproc-per-node=2"), str(SCRIPTS / "count_collectives.py")]
    without = jobs.run(*counted).splitlines()
    below = jobs.run(RANKZERO, "run", "--quiet", *counted).splitlines()
    told = [sorted(line for line in lines if line.startswith(("collectives", "weights"))) for lines in (without, below)]
    assert len(told[0]) == 4
    assert told[0] == told[1]
    assert jobs.only()["world_size"] == 2


def test_one_rank_that_dawdles_is_named(jobs: Jobs) -> None:
    """With sleep(0.2) in one rank's loop, before or after its step, that rank is named within twenty steps."""
    for where in ("before", "after"):
        command = [*torchrun("--nproc-per-node=3"), DDP, "--steps", "20", "--slow-rank", "1", "--slow-where", where]
        jobs.run(RANKZERO, "run", *command)
        assert jobs.shown("latest")["slowest_rank"] == 1


def test_a_quiet_job_names_no_rank(jobs: Jobs) -> None:
    """Where all ranks are alike none is called slow."""
    jobs.run(*torchrun("--nproc-per-node=2"), BY_HAND, "--pause", "0")
    assert jobs.shown("latest")["slowest_rank"] is None


def test_working_directory_of_ranks_does_not_matter(jobs: Jobs, tmp_path: Path) -> None:
    """Without RANKZERO_DIR, `rankzero run` fixes the root where it was started, wherever the script goes."""
    (tmp_path / "go.py").write_text(
        f"import os, runpy, sys\nos.chdir('/')\nsys.argv = ['x']\nrunpy.run_path({BY_HAND!r})\n"
    )
    jobs.run(RANKZERO, "run", sys.executable, "go.py")
    assert jobs.only()["state"] == "finished"
