"""Real processes that meet by `jax.distributed`: one run, whoever speaks."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("jax", reason="JAX is not installed: pip install 'rankzero[jax]'")
pytest.importorskip("optax", reason="optax is not installed: pip install 'rankzero[jax]'")

from tests.integrations.jax.conftest import RANKZERO, SCRIPTS, Recorded
from tests.launchers.commands import free_ports

pytestmark = pytest.mark.slow


def job(recorded: Recorded, processes: int, *options: str, launcher: tuple[str, ...] = ()) -> list[str]:
    """Run so many processes to their end; what each printed last."""
    (port,) = free_ports(1)
    given = ["--port", str(port), "--processes", str(processes), *options]
    started = [
        recorded.start(*launcher, sys.executable, str(SCRIPTS / "distributed.py"), *given, "--rank", str(rank))
        for rank in range(processes)
    ]
    printed = []
    for process in started:
        text, _ = process.communicate(timeout=200)
        assert process.returncode == 0, text
        printed.append(next(line for line in text.splitlines() if line.startswith("losses")))
    return printed


@pytest.mark.parametrize("processes", [2, 4])
def test_with_no_change(recorded: Recorded, processes: int) -> None:
    """One run of so many ranks, the job's series once, each rank's own times; the same loss as without."""
    plain = job(recorded, processes)
    assert not recorded.root.exists()
    assert job(recorded, processes, launcher=(RANKZERO, "run")) == plain
    (run,) = recorded.listed()
    assert (run["world_size"], run["state"]) == (processes, "finished")
    metrics = recorded.shown()["metrics"]
    assert [metrics[name]["count"] for name in ("loss", "grad/norm", "optim/lr")] == [20, 1, 20]
    assert metrics["loss"]["scope"] == "global"
    assert metrics["time/step"]["scope"] == "local"
    assert metrics["time/step"]["count"] == 19 * processes
    assert list(recorded.series("loss")["loss"].values())[-1] == pytest.approx(
        float.fromhex(plain[0].split("'")[1]), rel=1e-6
    )


@pytest.mark.parametrize("processes", [2, 4])
def test_by_hand(recorded: Recorded, processes: int) -> None:
    """init() before jax.distributed.initialize() is no harm; samples and values from inside once, local series per rank."""
    job(recorded, processes, "--by-hand")
    (run,) = recorded.listed()
    assert (run["world_size"], run["state"]) == (processes, "finished")
    metrics = recorded.shown()["metrics"]
    assert [metrics[name]["count"] for name in ("loss", "inside", "grad/norm")] == [20, 20, 4]
    assert metrics["local"]["scope"] == "local"
    assert metrics["local"]["count"] == 20 * processes
