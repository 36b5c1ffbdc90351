"""Ranks without a launcher: nothing tells of them but the process group."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.launchers.commands import SCRIPTS, assert_one_job, clean_environ, free_ports, tell, told

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("options", [[], ["--leave-rank"], ["--method=fork"], ["--method=forkserver"]], ids=str)
def test_torch_multiprocessing(tmp_path: Path, options: list[str]) -> None:
    """The ranks are uncertain until their group is there, and then one job with their parent; leftovers do not matter."""
    pytest.importorskip("torch")
    command = [sys.executable, str(SCRIPTS / "spawn.py"), *options]
    tell(tmp_path / "a", command)
    before = told(tmp_path / "a", "before")
    assert [one.ranks.certain for one in before] == [False] * 3
    zero = assert_one_job(told(tmp_path / "a", "after"), 3)
    assert (zero.launcher, zero.nodes, zero.local_world_size) == ("torch.distributed", 1, 3)
    [parent] = told(tmp_path / "a", "parent")
    assert (parent.ranks.launcher, parent.ranks.certain) == ("alone", True)
    assert (parent.ranks.job_key, parent.ranks.attempt_key) == (zero.job_key, zero.attempt_key)
    [worker] = told(tmp_path / "a", "data worker")
    assert not worker.ranks.certain
    tell(tmp_path / "b", command)
    assert told(tmp_path / "b", "after")[0].ranks.job_key != zero.job_key


def test_processes_started_by_hand(tmp_path: Path) -> None:
    """JAX processes that share nothing but an address are one job by it."""
    pytest.importorskip("jax")
    command = [sys.executable, str(SCRIPTS / "jax_group.py"), f"127.0.0.1:{free_ports(1)[0]}", "2"]
    started = [subprocess.Popen([*command, str(index), str(tmp_path)], env=clean_environ()) for index in range(2)]
    try:
        assert [process.wait(120) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
    assert {one.ranks.launcher for one in told(tmp_path, "before")} == {"alone"}
    zero = assert_one_job(told(tmp_path, "after"), 2)
    assert (zero.launcher, zero.nodes, zero.key_is_process) == ("jax.distributed", 1, False)


def test_a_script_that_starts_itself_again(tmp_path: Path) -> None:
    """Ranks that rank zero starts as Lightning does, without RANK, are one job with the parent's key from its start on."""
    tell(tmp_path, [sys.executable, str(SCRIPTS / "as_lightning.py")])
    zero = assert_one_job(told(tmp_path, "fit"), 3)
    assert zero.launcher == "lightning"
    assert {one.ranks.job_key for one in told(tmp_path)} == {zero.job_key}
    assert {one.ranks.attempt_key for one in told(tmp_path)} == {zero.attempt_key}
