"""torchrun, for real."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.launchers.commands import (
    SCRIPTS,
    TELL,
    Told,
    assert_one_job,
    clean_environ,
    free_ports,
    tell,
    told,
    torchrun,
)

GROUP = str(SCRIPTS / "tell_group.py")
RESTARTS = ["--max-restarts=1", "--monitor-interval=0.1"]
OWN_STORE = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}

pytestmark = pytest.mark.slow


def test_four_processes_agree(tmp_path: Path) -> None:
    """All ranks of a job agree on its keys; the next job has others."""
    first = assert_one_job(tell(tmp_path / "a", torchrun("--nproc-per-node=4", TELL)), 4)
    assert (first.launcher, first.nodes, first.local_world_size, first.restart) == ("torchrun", 1, 4, 0)
    second = assert_one_job(tell(tmp_path / "b", torchrun("--nproc-per-node=4", TELL)), 4)
    assert second.job_key != first.job_key
    assert first.key_is_process


def test_static_rendezvous(tmp_path: Path) -> None:
    """With a fixed port and no rendezvous id two jobs differ too."""
    command = torchrun(f"--master-port={free_ports(1)[0]}", "--nproc-per-node=2", TELL)
    first = assert_one_job(tell(tmp_path / "a", command), 2)
    second = assert_one_job(tell(tmp_path / "b", command), 2)
    assert first.job_key != second.job_key


def test_virtual_local_rank_behind_a_wrapper(tmp_path: Path) -> None:
    """LOCAL_RANK that is 0 everywhere and a shell between the agent and Python change nothing."""
    wrapper = ["--virtual-local-rank", "--no-python", "sh", "-c", f"{sys.executable} {TELL} $0; exit $?"]
    command = torchrun(f"--master-port={free_ports(1)[0]}", "--nproc-per-node=2", *wrapper)
    zero = assert_one_job(tell(tmp_path, command), 2)
    assert zero.local_world_size == 2


@pytest.mark.parametrize("environ", [{}, OWN_STORE], ids=["shared store", "own store"])
def test_restart_keeps_the_job(tmp_path: Path, environ: Mapping[str, str]) -> None:
    """When torchrun starts the ranks again the job key stays and the attempt key changes."""
    everyone = tell(tmp_path, torchrun("--nproc-per-node=2", *RESTARTS, GROUP, "--fail=1"), environ=environ)
    lives = [assert_one_job(_at(everyone, f"{life} before"), 2) for life in ("first", "second")]
    assert lives[0].job_key == lives[1].job_key
    assert lives[0].attempt_key != lives[1].attempt_key
    assert [life.restart for life in lives] == [0, 1]


def test_two_nodes(tmp_path: Path) -> None:
    """Two agents of one rendezvous are one job of two nodes; a process group says the same as the environment."""
    everyone = _two_agents(tmp_path, free_ports(1)[0], GROUP, "--group")
    before, after = (assert_one_job(_at(everyone, f"first {when}"), 4) for when in ("before", "after"))
    assert before == after
    assert (before.launcher, before.nodes, before.local_world_size) == ("torchrun", 2, 2)


def test_next_job_of_two_nodes(tmp_path: Path) -> None:
    """The next job of the same nodes has another key, at the same endpoint and with the same rendezvous id."""
    [port] = free_ports(1)
    zeros = [assert_one_job(_two_agents(tmp_path / name, port, "--rdzv-id=job", TELL), 4) for name in ("a", "b")]
    assert zeros[0].job_key != zeros[1].job_key


@pytest.mark.parametrize("environ", [{}, OWN_STORE], ids=["shared store", "own store"])
def test_restart_of_two_nodes(tmp_path: Path, environ: Mapping[str, str]) -> None:
    """The keys agree on both nodes in every life."""
    options = ["--rdzv-id=job", *RESTARTS, GROUP, "--fail=1"]
    everyone = _two_agents(tmp_path, free_ports(1)[0], *options, environ=environ)
    lives = [assert_one_job(_at(everyone, f"{life} before"), 4) for life in ("first", "second")]
    assert lives[0].job_key == lives[1].job_key
    assert lives[0].key_is_process is (environ != OWN_STORE)


def _at(everyone: list[Told], when: str) -> list[Told]:
    return [one for one in everyone if one.when == when]


def _two_agents(folder: Path, port: int, *rest: str, environ: Mapping[str, str] | None = None) -> list[Told]:
    folder.mkdir(parents=True, exist_ok=True)
    rendezvous = ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}"]
    command = torchrun("--nnodes=2", "--nproc-per-node=2", *rendezvous, *rest)
    given = clean_environ() | dict(environ or {})
    agents = [subprocess.Popen([*command, str(folder)], env=given) for _ in range(2)]
    try:
        assert [agent.wait(150) for agent in agents] == [0, 0]
    finally:
        for agent in agents:
            agent.kill()
    return told(folder)
