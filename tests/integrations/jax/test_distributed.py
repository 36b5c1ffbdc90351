"""Real processes that meet by `jax.distributed`: one run, whoever speaks."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("jax", reason="JAX is not installed: pip install 'rankzero[jax]'")
pytest.importorskip("optax", reason="optax is not installed: pip install 'rankzero[jax]'")

from tests.integrations.jax.conftest import SCRIPTS, on_devices, points
from tests.launchers.commands import free_ports

from rankzero.testing import Jobs

pytestmark = pytest.mark.slow


def job(jobs: Jobs, processes: int, *options: str, below: bool = False) -> list[str]:
    """Run so many processes, each started by itself, to their end; what each printed last."""
    (port,) = free_ports(1)
    command = [sys.executable, str(SCRIPTS / "distributed.py"), "--port", str(port), "--processes", str(processes)]
    with ThreadPoolExecutor(processes) as pool:
        started = [
            pool.submit(jobs.run, [*command, *options, "--rank", str(rank)], below=below, environ=on_devices(1))
            for rank in range(processes)
        ]
        printed = [one.result() for one in started]
    return [next(line for line in text.splitlines() if line.startswith("losses")) for text in printed]


@pytest.mark.parametrize("processes", [2, 4])
def test_with_no_change(jobs: Jobs, processes: int) -> None:
    """One run of so many ranks, the job's series once, each rank's own times; and two learn the same as without."""
    printed = job(jobs, processes, below=True)
    found = jobs.only()
    assert sorted((start.rank, start.world_size) for start in found.starts) == [
        (rank, processes) for rank in range(processes)
    ]
    assert found.state == "finished"
    assert [len(found.values(name)) for name in ("loss", "grad/norm", "optim/lr")] == [20, 1, 20]
    assert not {"loss", "grad/norm", "optim/lr"} & found.local
    for rank in range(processes):
        times, rates = found.values("time/step", rank), found.values("throughput/samples", rank)
        assert len(times) == 19
        assert rates == pytest.approx([8 / seconds for seconds in times])  # of its own
        assert found.values("loss", rank) == [] or rank == 0
    assert points(found, "loss")["loss"][20] == pytest.approx(float.fromhex(printed[0].split("'")[1]), rel=1e-6)
    if processes == 2:
        assert job(jobs, processes) == printed
        assert len(jobs.runs()) == 1


@pytest.mark.parametrize("processes", [2, 4])
def test_by_hand(jobs: Jobs, processes: int) -> None:
    """init() before jax.distributed.initialize() is no harm; samples and values from inside once, local series per rank."""
    job(jobs, processes, "--by-hand")
    found = jobs.only()
    assert {(start.rank, start.world_size) for start in found.starts} == {
        (rank, processes) for rank in range(processes)
    }
    assert found.state == "finished"
    assert [len(found.values(name)) for name in ("loss", "inside", "grad/norm")] == [20, 20, 4]
    for rank in range(processes):
        assert found.values("local", rank) == [rank] * 20
        assert len(found.values("time/step", rank)) == 19
        assert (len(found.values("loss", rank)) > 0) == (rank == 0)
