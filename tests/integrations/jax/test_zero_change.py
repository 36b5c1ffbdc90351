"""Scripts that never heard of rankzero, below `rankzero run`: what is recorded, and that they compute the same bits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax", reason="JAX is not installed: pip install 'rankzero[jax]'")
pytest.importorskip("flax", reason="Flax is not installed: pip install 'rankzero[jax]'")

from tests.integrations.jax.conftest import RANKZERO, SCRIPTS, Recorded

pytestmark = pytest.mark.slow


def results(printed: str) -> dict[str, list[float]]:
    """The numbers that a script printed, exactly."""
    lines = [line.partition(" ") for line in printed.splitlines() if line.startswith(("losses ", "weights "))]
    return {name: [float.fromhex(word.strip("'[],")) for word in rest.split()] for name, _, rest in lines}


def both_ways(
    recorded: Recorded, script: str, *options: str, devices: int = 1, **environ: Any
) -> dict[str, list[float]]:
    """Run a script without and with `rankzero run`; the same bits come out. Returns what it printed."""
    path = str(SCRIPTS / script)
    plain = results(recorded.run(sys.executable, path, *options, devices=devices))
    assert not recorded.root.exists()
    ours = results(recorded.run(RANKZERO, "run", sys.executable, path, *options, devices=devices, **environ))
    assert ours == plain
    assert len(recorded.listed()) == 1
    return ours


@pytest.mark.parametrize("form", ["one", "grad", "split", "scan", "nested", "eager", "donate", "pmap"])
def test_plain_jax(recorded: Recorded, form: str) -> None:
    """A jax.jit and optax script in many forms: loss, learning rate and times at every step, gradients at every fifth."""
    devices = 4 if form == "pmap" else 1
    printed = both_ways(recorded, "plain.py", "--form", form, devices=devices, RANKZERO_LOG_EVERY="5")
    found = recorded.series("loss", "grad/norm", "optim/lr", "time/step", "time/compile")
    steps = list(range(1, 21))
    assert [list(found[name]) for name in ("loss", "optim/lr")] == [steps] * 2
    assert list(found["grad/norm"]) == (steps if form in {"eager", "scan"} else [1, 6, 11, 16])
    if form not in {"grad", "pmap"}:  # prints no loss, prints the mean of the devices' losses
        assert list(found["loss"].values()) == pytest.approx(printed["losses"])
    assert found["grad/norm"][1] == pytest.approx(0.60711586, rel=1e-5)
    assert list(found["optim/lr"].values()) == pytest.approx([0.05 * (1 - step / 20) for step in range(20)], rel=1e-5)
    assert len(found["time/step"]) == (3 if form == "scan" else 19)
    assert found["time/compile"]
    shown = recorded.shown()
    assert shown["config"]["optimizer"]["class"] == "adam"
    assert shown["config"]["model"]["parameters"] == 640
    assert shown["config"]["lr"] == 0.05


@pytest.mark.parametrize("script", ["flax_nnx.py", "flax_linen.py"])
def test_flax(recorded: Recorded, script: str) -> None:
    """nnx.Optimizer in nnx.jit, and linen's TrainState: the same, with parameters by their names."""
    printed = both_ways(recorded, script, RANKZERO_GRADIENTS="hist", RANKZERO_LOG_EVERY="10")
    found = recorded.series("loss", "grad/norm", "optim/lr", "time/step")
    assert list(found["loss"].values()) == pytest.approx(printed["losses"])
    assert [len(series) for series in found.values()] == [20, 2, 20, 19]
    layer = "hidden.kernel" if "nnx" in script else "Dense_0.kernel"
    assert list(recorded.series(f"grad/norm/{layer}")[f"grad/norm/{layer}"]) == [1, 11]
    histograms = [line["step"] for line in recorded.lines("histogram") if line["key"] == f"grad/hist/{layer}"]
    assert histograms == [1, 11]
    assert layer in [name for name, *_ in recorded.shown()["config"]["model"]["layers"]]


def test_no_run_without_training(recorded: Recorded, tmp_path: Path) -> None:
    """A program that imports JAX and compiles functions, but trains nothing, has no run and sees ordinary functions."""
    script = tmp_path / "no_training.py"
    script.write_text(
        "import jax, functools, jax.numpy as jnp\n"
        "@functools.partial(jax.jit, static_argnames='times')\n"
        "def f(x, times): return x * times\n"
        "assert f(jnp.ones(3), times=3).sum() == 9 and f.__name__ == 'f' and f.__wrapped__(2, 3) == 6\n"
        "assert isinstance(f, jax.stages.Wrapped)\n"
        "assert f.lower(jnp.ones(3), times=2).compile()(jnp.ones(3)).sum() == 6\n"
        "class A:\n"
        "    @functools.partial(jax.jit, static_argnums=0)\n"
        "    def g(self, x): return x + 1\n"
        "assert A().g(1) == 2 and jax.jit(lambda x: x, donate_argnums=0)(1) == 1 and jax.jit()(lambda x: x)(1) == 1\n"
        "assert jax.vmap(f, in_axes=(0, None))(jnp.ones(3), 2).sum() == 6\n"
        "assert jax.grad(lambda x: jax.jit(jnp.sin)(x))(0.0) == 1\n"
        "count = [0]\n"
        "def h(x): count[0] += 1; return x\n"
        "for _ in range(5): jax.jit(h)(1.0)\n"
        "assert count == [1]\n"
    )
    printed = recorded.run(RANKZERO, "run", sys.executable, str(script))
    assert "nothing was recorded" in printed
    assert not recorded.root.exists() or recorded.listed() == []


def test_parameters_spread_over_devices(recorded: Recorded, tmp_path: Path) -> None:
    """Where a norm would need a collective that the program does not make, it is left out and the report says so."""
    script = tmp_path / "spread.py"
    script.write_text(
        "import jax, jax.numpy as jnp, optax, numpy as np\n"
        "from jax.sharding import Mesh, NamedSharding, PartitionSpec as P\n"
        "mesh = Mesh(np.array(jax.devices()), ('d',))\n"
        "w = jax.device_put(jnp.ones((16, 4)), NamedSharding(mesh, P('d')))\n"
        "tx = optax.sgd(0.1)\n"
        "s = tx.init(w)\n"
        "@jax.jit\n"
        "def step(w, s):\n"
        "    l, g = jax.value_and_grad(lambda w: (w ** 2).mean())(w)\n"
        "    u, s = tx.update(g, s, w)\n"
        "    return optax.apply_updates(w, u), s\n"
        "for _ in range(5): w, s = step(w, s)\n"
    )
    printed = recorded.run(RANKZERO, "run", sys.executable, str(script), devices=4)
    assert "collective" in printed
    assert len(recorded.series("loss")["loss"]) == 5
    assert "grad/norm" not in recorded.shown()["metrics"]
