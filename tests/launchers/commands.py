"""The launchers' command lines, and what the processes that they start say of themselves."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.processes import ended

from rankzero.ranks import Ranks
from rankzero.testing.jobs import LAUNCHERS

SCRIPTS = Path(__file__).parent / "scripts"
TELL = str(SCRIPTS / "tell.py")
NAMED = (15_000, 30_000)
"""A range of ports below those that systems choose from for a socket that is bound to none."""


@dataclass(frozen=True)
class Told:
    """What one process said of itself, and when: the label of the moment."""

    when: str
    pid: int
    ranks: Ranks


def free_ports(number: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on, and that the system gives to nobody who does not name them."""
    with contextlib.ExitStack() as stack:
        taken: list[int] = []
        while len(taken) < number:
            port = random.randrange(*NAMED)
            with contextlib.suppress(OSError):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                taken.append(port)
        return taken


def clean_environ() -> dict[str, str]:
    """The environment without any launcher's variables, with one thread per process."""
    kept = {name: value for name, value in os.environ.items() if not LAUNCHERS.search(name)}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def run(command: Sequence[str], *, environ: Mapping[str, str] | None = None) -> str:
    """Run a command to its good end and return what it printed."""
    done = ended(command, environ=clean_environ() | dict(environ or {}))
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def told(folder: Path, when: str | None = None) -> list[Told]:
    """What the processes told into a folder, in order of rank; only at one moment if that is named."""
    loaded = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    everyone = [Told(one["when"], one["pid"], Ranks(**one["ranks"])) for one in loaded]
    return sorted((one for one in everyone if when in {None, one.when}), key=lambda one: (one.ranks.rank, one.pid))


def tell(folder: Path, command: Sequence[str], *, environ: Mapping[str, str] | None = None) -> list[Told]:
    """Run a launcher's command with its processes telling into a folder, and return what they told."""
    folder.mkdir(parents=True, exist_ok=True)
    run([*command, str(folder)], environ=environ)
    return told(folder)


def torchrun(*options: str) -> list[str]:
    """The `torchrun` of this environment."""
    pytest.importorskip("torch")
    return [sys.executable, "-m", "torch.distributed.run", *options]


def openmpi(processes: int) -> list[str]:
    """Open MPI's launcher, as any user on any number of processors."""
    if (mpirun := shutil.which("mpirun.openmpi")) is None:
        pytest.skip("Open MPI is not installed: run tests/launchers/install.sh as root")
    return [mpirun, "--allow-run-as-root", "--oversubscribe", "-n", str(processes)]


def mpich(processes: int, *options: str) -> list[str]:
    """MPICH's launcher."""
    if (mpiexec := shutil.which("mpiexec.hydra")) is None:
        pytest.skip("MPICH is not installed: run tests/launchers/install.sh as root")
    return [mpiexec, "-n", str(processes), *options]


def assert_one_job(everyone: Sequence[Told], world_size: int) -> Ranks:
    """All ranks are there once and agree on everything that ranks agree on; returns rank zero's answer."""
    assert [one.ranks.rank for one in everyone] == list(range(world_size))
    zero = everyone[0].ranks
    for one in everyone:
        ranks = one.ranks
        assert ranks.certain
        assert (ranks.world_size, ranks.nodes, ranks.launcher) == (world_size, zero.nodes, zero.launcher)
        assert (ranks.job_key, ranks.attempt_key) == (zero.job_key, zero.attempt_key)
        assert 0 <= ranks.local_rank < ranks.local_world_size <= world_size
        assert 0 <= ranks.node < ranks.nodes
    places = {(one.ranks.node, one.ranks.local_rank) for one in everyone}
    assert len(places) == world_size
    return zero
