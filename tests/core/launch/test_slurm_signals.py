"""`rankzero run` below a real srun: Slurm signals every process of a step, and the command still hears each signal once."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.waiting import until

if TYPE_CHECKING:
    from tests.core.launch.conftest import Launcher
    from tests.launchers.slurm import SlurmCluster

COUNTS = """
import os, signal, sys, time
seen = []
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, _: seen.append(number))
open("ready-" + os.environ["SLURM_JOB_ID"], "w").close()
while not seen:
    time.sleep(0.01)
time.sleep(0.5)
sys.exit(10 + len(seen))
"""


@pytest.mark.launcher
@pytest.mark.parametrize("name", ["TERM", "USR1"])
def test_a_signal_to_a_step_arrives_once(launcher: Launcher, slurm_cluster: SlurmCluster, name: str) -> None:
    """The signal of scancel reaches the command once, and its exit status reaches srun."""
    script = launcher.script(COUNTS)
    step = subprocess.Popen(
        ["srun", "-n", "1", *launcher.rankzero_run, "--quiet", sys.executable, script],
        cwd=launcher.folder,
        env=slurm_cluster.environ() | {"RANKZERO_DIR": str(launcher.root)},
        stderr=subprocess.DEVNULL,
    )
    launcher.started.append(step)
    until("the command", lambda: list(launcher.folder.glob("ready-*")))
    (ready,) = launcher.folder.glob("ready-*")
    slurm_cluster.run("scancel", f"--signal={name}", f"{ready.name.partition('-')[2]}.0")
    assert step.wait(timeout=60) == 11
