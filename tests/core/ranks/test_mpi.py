"""MPI's launchers, for real."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.launchers.commands import TELL, assert_one_job, mpich, openmpi, run, tell, told

pytestmark = [pytest.mark.slow, pytest.mark.launcher]

WRAPPER = ["sh", "-c", f"{sys.executable} {TELL} $0; exit $?"]


def test_openmpi(tmp_path: Path) -> None:
    """Four processes of mpirun are one job, behind a wrapper too; the next job has another key."""
    first = assert_one_job(tell(tmp_path / "a", [*openmpi(4), sys.executable, TELL]), 4)
    second = assert_one_job(tell(tmp_path / "b", [*openmpi(4), *WRAPPER]), 4)
    assert (first.launcher, first.nodes, first.local_world_size) == ("openmpi", 1, 4)
    assert first.job_key != second.job_key
    assert first.key_is_process


def test_mpich(tmp_path: Path) -> None:
    """Four processes of mpiexec are one job, behind a wrapper too; the next job has another key."""
    first = assert_one_job(tell(tmp_path / "a", [*mpich(4), sys.executable, TELL]), 4)
    second = assert_one_job(tell(tmp_path / "b", [*mpich(4), *WRAPPER]), 4)
    assert (first.launcher, first.nodes, first.local_world_size) == ("mpich", 1, 4)
    assert first.job_key != second.job_key
    assert first.key_is_process


def test_mpich_on_two_nodes(tmp_path: Path) -> None:
    """The proxies of two nodes name the same mpiexec, so all their processes are one job."""
    hosts = ["-launcher", "fork", "-hosts", "127.0.0.1,localhost", "-ppn", "2"]
    zero = assert_one_job(tell(tmp_path, [*mpich(4, *hosts), sys.executable, TELL]), 4)
    assert (zero.nodes, zero.local_world_size) == (2, 2)


def test_proxies_of_intel_mpi(tmp_path: Path) -> None:
    """Intel's proxies name their mpiexec by other options; here shells with the same command line stand for them."""
    for node in range(2):
        ranks = [
            f"PMI_RANK={2 * node + local} MPI_LOCALRANKID={local} {sys.executable} {TELL} $4;" for local in range(2)
        ]
        proxy = [
            "sh",
            "-c",
            " ".join([*ranks, ":"]),
            "--upstream-host",
            "node0",
            "--upstream-port",
            "41555",
            str(tmp_path),
        ]
        run(proxy, environ={"PMI_SIZE": "4", "MPI_LOCALNRANKS": "2", "I_MPI_HYDRA_BOOTSTRAP": "ssh"})
    zero = assert_one_job(told(tmp_path), 4)
    assert (zero.launcher, zero.nodes, zero.key_is_process) == ("intelmpi", 2, True)


def test_one_process(tmp_path: Path) -> None:
    """A job of one process is rank zero of one."""
    assert assert_one_job(tell(tmp_path, [*openmpi(1), sys.executable, TELL]), 1).launcher == "openmpi"
