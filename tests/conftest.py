"""What every test stands on: rankzero raises its own errors, and nothing of the machine's settings leaks in."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.launchers.slurm import slurm_cluster

__all__ = ["pytest_collection_modifyitems", "slurm_cluster"]

for _name in [name for name in os.environ if name.startswith("RANKZERO_")]:
    del os.environ[_name]
os.environ["RANKZERO_STRICT"] = "1"
os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # process groups need not ask the network what this machine is called
for _number in (signal.SIGHUP, signal.SIGQUIT):  # nohup and background jobs pass on that they are ignored
    signal.signal(_number, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long; keep the tests that share the machine's one Slurm or MPI on one worker."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        if item.get_closest_marker("launcher") is not None:
            item.add_marker(pytest.mark.xdist_group("launcher"))
