"""What only TensorFlow has: strategies for several devices and processes, and scalars for TensorBoard."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import BACKEND, SCRIPTS, Root
from tests.launchers.commands import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BACKEND != "tensorflow", reason="the backend is another one")]


def test_two_devices(root: Root) -> None:
    """Under MirroredStrategy with no change there is one run; the gradient's norm is that of all replicas' together."""
    told = root.script("mirrored.py", RANKZERO_GRADIENTS="params", RANKZERO_LOG_EVERY="1")
    recorded = root.only()
    assert len(recorded.starts) == 1
    assert recorded.values("grad/norm") == pytest.approx([told["norm"]], rel=1e-3)
    assert recorded.steps("loss") == [1]
    assert len(recorded.config["devices"]) == 2
    if told["scalars"]:
        assert recorded.series["mine"][0] == [(3, 0.25), (4, 0.5)]


def test_two_workers(root: Root) -> None:
    """The processes of TF_CONFIG under MultiWorkerMirroredStrategy are one run; the second writes about itself only."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        environ = root.environ() | {"TF_CONFIG": json.dumps(config)}
        command = [sys.executable, str(SCRIPTS / "workers.py")]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        processes.append(subprocess.Popen(command, env=environ, cwd=root.folder, text=True, **pipes))  # type: ignore[call-overload]
    try:
        printed = [process.communicate(timeout=200)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(printed)
    losses = json.loads(printed[0].splitlines()[-1])
    recorded = root.only()
    assert sorted((start.rank, start.world_size) for start in recorded.starts) == [(0, 2), (1, 2)]
    assert recorded.values("loss") == pytest.approx(losses)
    assert recorded.steps("time/step", rank=1) == [2, 3]
    assert not recorded.values("loss", rank=1)
