"""Slurm, for real: a controller and two nodes that the tests start on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.launchers.commands import SCRIPTS, TELL, Told, assert_one_job, free_ports, openmpi, told, torchrun
from tests.launchers.slurm import SlurmCluster

from rankzero.ranks import Ranks

pytestmark = [pytest.mark.slow, pytest.mark.launcher]

SPAWN = str(SCRIPTS / "spawn.py")


def test_srun_on_two_nodes(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    """The tasks of a step are the ranks of one job, also unevenly spread; the next step is another job."""
    zeros = []
    for name in ("a", "b"):
        folder = _folder(tmp_path, name)
        slurm_cluster.run("srun", "-N2", "-n4", sys.executable, TELL, str(folder))
        zeros.append(assert_one_job(told(folder), 4))
    assert [(zero.launcher, zero.nodes) for zero in zeros] == [("slurm", 2)] * 2
    assert zeros[0].job_key != zeros[1].job_key
    assert sorted(one.ranks.local_world_size for one in told(tmp_path / "a")) == [1, 3, 3, 3]


def test_batch_script(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    """The body of a batch script is one process, whatever its variables say; each of its steps is a job of its own."""
    body = f"{_python(TELL)} body; srun -n 3 {_python(TELL)} one; srun -n 2 {_python(TELL)} two"
    _submit(slurm_cluster, tmp_path, body, "-n", "3")
    alone = _alone(told(tmp_path, "body"))
    one, two = assert_one_job(told(tmp_path, "one"), 3), assert_one_job(told(tmp_path, "two"), 2)
    assert len({alone.job_key, one.job_key, two.job_key}) == 3
    assert (one.launcher, one.restart, one.nodes) == ("slurm", 0, 1)


def test_wrappers_and_shells(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    """A wrapper that turns Slurm's variables into RANK changes nothing; programs run by hand in a shell are jobs apart."""
    export = "export RANK=$SLURM_PROCID WORLD_SIZE=$SLURM_NTASKS MASTER_ADDR=$(hostname) MASTER_PORT=29500"
    slurm_cluster.run("srun", "-n", "3", "sh", "-c", f"{export}; {_python(TELL)} wrapped", str(tmp_path))
    assert assert_one_job(told(tmp_path, "wrapped"), 3).launcher == "slurm"
    slurm_cluster.run("srun", "-n", "1", "bash", "-c", f"{_python(TELL)} shell; {_python(TELL)} shell", str(tmp_path))
    assert len({one.ranks.job_key for one in told(tmp_path, "shell")}) == 2


def test_array(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    """The tasks of an array are jobs apart, rank zero each."""
    _submit(slurm_cluster, tmp_path, f"{_python(TELL)} task", "--array=1-3")
    tasks = told(tmp_path, "task")
    assert [(one.ranks.rank, one.ranks.world_size, one.ranks.certain) for one in tasks] == [(0, 1, True)] * 3
    assert len({one.ranks.job_key for one in tasks}) == 3


def test_allocation_without_srun(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    """In the shell of `salloc -n 4` a process is alone, and every one is a job of its own; `srun` there starts ranks."""
    body = f"{_python(TELL)} shell; {_python(TELL)} again; srun -n 4 {_python(TELL)} step"
    slurm_cluster.run("salloc", "-n", "4", "bash", "-c", body, str(tmp_path))
    first, second = _alone(told(tmp_path, "shell")), _alone(told(tmp_path, "again"))
    assert first.job_key != second.job_key
    assert (first.launcher, first.key_is_process) == ("alone", True)
    assert assert_one_job(told(tmp_path, "step"), 4).launcher == "slurm"


def test_job_submitted_from_a_step(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    """A batch job that inherits the variables of the step which submitted it is not a task of that step."""
    inner = f"sbatch -o /dev/null --wrap '{sys.executable} {TELL} {tmp_path} inner'"
    slurm_cluster.run("srun", "-n", "2", "sh", "-c", f'[ "$SLURM_PROCID" = 0 ] || {inner}')
    slurm_cluster.until(lambda: bool(told(tmp_path)), "the inner job")
    assert _alone(told(tmp_path, "inner")).launcher == "alone"


def test_requeue(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    """A requeued job keeps its job keys and counts: the body's, its step's, torchrun's and those of spawned ranks."""
    agent = " ".join(torchrun("--nproc-per-node=2", TELL, "$0", "torchrun"))
    once = '[ -n "$SLURM_RESTART_COUNT" ] || { touch $0/ready; sleep 100; }'
    body = f"{_python(TELL)} body; srun -n 3 {_python(TELL)} step; {agent}; {_python(SPAWN)}; {once}"
    job = _submit(slurm_cluster, tmp_path, body, "-n", "3", "--requeue", wait=False)
    slurm_cluster.until((tmp_path / "ready").exists, f"job {job}")
    slurm_cluster.requeue(job)
    assert slurm_cluster.wait(job) == "COMPLETED"
    for when, world_size in {"body": 1, "step": 3, "torchrun": 2, "after": 3, "parent": 1}.items():
        lives = [
            assert_one_job([one for one in told(tmp_path, when) if one.ranks.restart == life], world_size)
            for life in (0, 1)
        ]
        assert lives[0].job_key == lives[1].job_key
        assert lives[0].attempt_key != lives[1].attempt_key
    assert told(tmp_path, "parent")[0].ranks.job_key == told(tmp_path, "after")[0].ranks.job_key
    assert len({one.ranks.job_key for one in told(tmp_path) if one.ranks.certain}) == 4


def test_torchrun_in_steps(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    """Under `srun` it is torchrun that has ranks: one agent in a step of one task, and one agent on each of two nodes."""
    slurm_cluster.run("srun", "-n1", *torchrun("--nproc-per-node=2", TELL, str(_folder(tmp_path, "one"))))
    one = assert_one_job(told(tmp_path / "one"), 2)
    assert (one.launcher, one.nodes, one.local_world_size) == ("torchrun", 1, 2)
    rendezvous = ["--nnodes=2", "--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{free_ports(1)[0]}"]
    agent = torchrun("--nproc-per-node=2", *rendezvous, TELL, str(_folder(tmp_path, "two")))
    slurm_cluster.run("srun", "-N2", "-n2", *agent)
    two = assert_one_job(told(tmp_path / "two"), 4)
    assert (two.launcher, two.nodes, two.local_world_size) == ("torchrun", 2, 2)


def test_openmpi_in_a_batch_job(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    """Under mpirun it is mpirun that has ranks, although the batch job's variables say rank 0."""
    here = ["--mca", "ras", "^slurm", "--mca", "plm", "^slurm", "--host", "localhost:3"]
    _submit(slurm_cluster, tmp_path, " ".join([*openmpi(3), *here, _python(TELL)]))
    assert assert_one_job(told(tmp_path), 3).launcher == "openmpi"


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


def _python(script: str) -> str:
    return f"{sys.executable} {script} $0"


def _submit(cluster: SlurmCluster, folder: Path, body: str, *options: str, wait: bool = True) -> str:
    """Submit a batch script; in its body $0 is the folder that its processes tell into."""
    log = folder / "log-%j.out"
    script = f"sh -c '{body}' {folder}"
    job = cluster.run("sbatch", "--parsable", "-o", str(log), "--open-mode=append", *options, "--wrap", script).strip()
    if wait:
        cluster.until(lambda: not cluster.run("squeue", "-h", "-j", job).strip(), f"job {job}")
    return job


def _alone(everyone: list[Told]) -> Ranks:
    [one] = everyone
    assert (one.ranks.rank, one.ranks.world_size, one.ranks.nodes, one.ranks.certain) == (0, 1, 1, True)
    return one.ranks
