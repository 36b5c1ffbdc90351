"""What goes on around training steps: compilations, checkpoints, a metric writer, models, and the page's example."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax", reason="JAX is not installed: pip install 'rankzero[jax]'")

import jax
import jax.numpy as jnp
import numpy as np
from tests.integrations.jax.conftest import RANKZERO, Recorded

import rankzero
import rankzero_jax

PAGE = Path(__file__).parents[3] / "docs" / "integrations" / "jax.md"
TRAINING = """
import jax, jax.numpy as jnp, optax, orbax.checkpoint as ocp, pathlib, time
tx = optax.sgd(0.1)
w = jnp.ones(4); s = tx.init(w)
@jax.jit
def step(w, s, x):
    l, g = jax.value_and_grad(lambda w: ((w * x) ** 2).mean())(w)
    u, s = tx.update(g, s, w)
    return optax.apply_updates(w, u), s
with ocp.CheckpointManager(pathlib.Path("kept").absolute()) as manager:
    for i in range(6):
        w, s = step(w, s, jnp.ones(4) if i < 4 else jnp.ones((2, 4)))
        if i % 3 == 2:
            manager.save(i, args=ocp.args.StandardSave({"w": w}))
            manager.wait_until_finished()
"""


@pytest.mark.slow
def test_checkpoints_and_recompilations(recorded: Recorded, tmp_path: Path) -> None:
    """With no change, Orbax's saves are checkpoint phases with their places, and a second compilation of a step is counted."""
    pytest.importorskip("orbax.checkpoint", reason="Orbax is not installed: pip install 'rankzero[jax]'")
    script = tmp_path / "train.py"
    script.write_text(TRAINING)
    recorded.run(RANKZERO, "run", sys.executable, str(script))
    places = [line["message"] for line in recorded.lines("event") if line["event"] == "checkpoint"]
    assert places == [str(tmp_path / "kept" / "2"), str(tmp_path / "kept" / "5")]
    assert sum(line["phase"] == "checkpoint" for line in recorded.lines("phase")) >= 2
    found = recorded.series("time/checkpoint", "compile/again", "loss")
    assert found["time/checkpoint"]
    assert len(found["loss"]) == 6
    assert max(found["compile/again"].values()) >= 1


RESUMED = """
import jax, jax.numpy as jnp, optax, orbax.checkpoint as ocp, pathlib, sys
tx = optax.adam(0.1)
w = jnp.ones(4); s = tx.init(w)
@jax.jit
def step(w, s):
    l, g = jax.value_and_grad(lambda w: (w ** 2).mean())(w)
    u, s = tx.update(g, s, w)
    return optax.apply_updates(w, u), s
with ocp.CheckpointManager(pathlib.Path("kept").absolute()) as manager:
    last = manager.latest_step()
    if last is not None:
        kept = manager.restore(last, args=ocp.args.StandardRestore({"w": w, "s": s}))
        w, s = kept["w"], kept["s"]
    for i in range(0 if last is None else last + 1, int(sys.argv[1])):
        w, s = step(w, s)
        if i % 3 == 2:
            manager.save(i, args=ocp.args.StandardSave({"w": w, "s": s}), custom_metadata={"mine": 1})
    manager.wait_until_finished()
    print("kept", manager.metadata(manager.latest_step()).custom_metadata["mine"])
"""
BY_HAND = """
import pathlib, rankzero, rankzero_jax
run = rankzero.init(id=rankzero_jax.run_of(pathlib.Path("kept").absolute()))
run.log({"accuracy": 0.5})
"""


@pytest.mark.slow
def test_resumed_from_a_checkpoint(recorded: Recorded, tmp_path: Path) -> None:
    """What is restored by a CheckpointManager goes on in the run that saved it, at its steps; by hand the id can be asked for."""
    pytest.importorskip("orbax.checkpoint", reason="Orbax is not installed: pip install 'rankzero[jax]'")
    script, by_hand = tmp_path / "train.py", tmp_path / "by_hand.py"
    script.write_text(RESUMED)
    by_hand.write_text(BY_HAND)
    for steps in (5, 8):
        assert "kept 1" in recorded.run(RANKZERO, "run", sys.executable, str(script), str(steps))
    recorded.run(sys.executable, str(by_hand))
    (run,) = recorded.listed()
    assert run["attempts"] == 3
    found = json.loads(
        subprocess.check_output([RANKZERO, "history", "latest", "loss", "--json", "--dir", str(recorded.root)])
    )["loss"]
    assert found["step"] == list(range(1, 9))
    assert found["attempt"] == [1, 1, 1, 2, 2, 2, 2, 2]


def test_metric_writer(run: rankzero.Run, recorded: Recorded) -> None:
    """Scalars, texts, histograms, images and hyperparameters arrive under their names."""
    writer = rankzero_jax.MetricWriter()
    writer.write_hparams({"lr": 0.1})
    writer.write_scalars(3, {"loss": jnp.float32(2), "accuracy": 0.5})
    writer.write_texts(3, {"note": "all is well"})
    writer.write_histograms(3, {"weights": np.arange(10.0)}, num_buckets={"weights": 5})
    writer.write_images(3, {"picture": np.zeros((1, 4, 4, 3))})
    writer.close()
    run.finish()
    assert recorded.series("loss", "accuracy") == {"loss": {3: 2.0}, "accuracy": {3: 0.5}}
    assert [len(line["counts"]) for line in recorded.lines("histogram")] == [5]
    assert [line["value"] for line in recorded.lines("text")] == ["all is well"]
    assert [line["key"] for line in recorded.lines("media")] == ["picture"]
    assert recorded.shown()["config"]["lr"] == 0.1


def test_capture_in_flax(run: rankzero.Run, recorded: Recorded) -> None:
    """In an nnx.Optimizer and in linen's TrainState, every sample is there under the parameters' names; the second optimizer's say so."""
    nnx = pytest.importorskip("flax.nnx", reason="Flax is not installed: pip install 'rankzero[jax]'")
    optax = importlib.import_module("optax")
    train_state = importlib.import_module("flax.training.train_state")
    model = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, rankzero_jax.capture(optax.adam(0.1)), wrt=nnx.Param)
    run.watch(model)

    def train(model: Any, optimizer: Any, x: Any) -> Any:
        loss, gradients = nnx.value_and_grad(lambda model: (model(x) ** 2).mean())(model)
        optimizer.update(model, gradients)
        return loss

    step = rankzero_jax.jit(train, every=2, using=nnx.jit)
    for _ in range(4):
        step(model, optimizer, jnp.ones((3, 4)))
    params = {"Dense_0": {"kernel": jnp.ones((4, 2))}}
    state = train_state.TrainState.create(apply_fn=None, params=params, tx=rankzero_jax.capture(optax.adam(0.1)))

    def train_linen(state: Any, x: Any) -> Any:
        gradients = jax.grad(lambda params: ((x @ params["Dense_0"]["kernel"]) ** 2).mean())(state.params)
        return state.apply_gradients(grads=gradients)

    step = rankzero_jax.jit(train_linen, every=2)
    for _ in range(3):
        state = step(state, jnp.ones((3, 4)))
    run.finish()
    assert list(recorded.series("grad/norm/kernel")["grad/norm/kernel"]) == [0, 2]
    assert list(recorded.series("grad/norm/Dense_0.kernel@2")["grad/norm/Dense_0.kernel@2"]) == [0, 2]
    assert recorded.shown()["config"]["model"]["parameters"] == 10


def test_the_pages_example(recorded: Recorded, tmp_path: Path) -> None:
    """The example in the documentation runs as it stands and records what it says."""
    pytest.importorskip("optax", reason="optax is not installed: pip install 'rankzero[jax]'")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(code)
    recorded.run(sys.executable, str(script))
    found = recorded.series("loss", "grad/norm", "update/ratio/w")
    assert [len(series) for series in found.values()] == [100, 2, 2]
    assert recorded.shown()["config"]["model"]["parameters"] == 32


def test_importing_changes_nothing() -> None:
    """Importing the integration loads JAX and no other framework, starts no backend and replaces nothing."""
    code = (
        "import sys, jax, jax._src.xla_bridge as xb; before = jax.jit, jax.grad, jax.value_and_grad, jax.lax.scan, jax.pmap\n"
        "import rankzero_jax\n"
        "assert before == (jax.jit, jax.grad, jax.value_and_grad, jax.lax.scan, jax.pmap)\n"
        "assert not xb.backends_are_initialized()\n"
        "print([name for name in ('torch', 'flax', 'optax', 'orbax', 'tensorflow', 'keras') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
