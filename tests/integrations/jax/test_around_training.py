"""What goes on around training steps: compilations, checkpoints, a metric writer, models, and the page's example."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax", reason="JAX is not installed: pip install 'rankzero[jax]'")

import jax
import jax.numpy as jnp
import numpy as np
from tests.integrations.jax.conftest import points

import rankzero
import rankzero_jax
from rankzero import errors
from rankzero.query import find_run
from rankzero.records import Media
from rankzero.testing import Jobs, Recorded, folders
from rankzero_jax.compiles import Compiles
from rankzero_jax.memory import Memory

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
def test_checkpoints_and_recompilations(jobs: Jobs, tmp_path: Path) -> None:
    """With no change, Orbax's saves are checkpoint phases with their places, and a second compilation of a step is counted."""
    pytest.importorskip("orbax.checkpoint", reason="Orbax is not installed: pip install 'rankzero[jax]'")
    script = tmp_path / "train.py"
    script.write_text(TRAINING)
    jobs.run([sys.executable, script], below=True)
    found = jobs.only()
    assert [event.message for event in found.events("checkpoint")] == [
        str(tmp_path / "kept" / "2"),
        str(tmp_path / "kept" / "5"),
    ]
    assert found.phases().count("checkpoint") >= 4  # two saves, two waits, and the end
    assert len(found.values("time/checkpoint")) == 2
    assert len(found.values("loss")) == 6
    assert max(found.values("compile/again")) >= 1
    compiled = found.values("time/compile")
    assert find_run(jobs.root, "latest").usage.phases["startup"] > compiled[-1] - compiled[0] > 0


RESUMED = """
import jax, jax.numpy as jnp, optax, orbax.checkpoint as ocp, orbax.checkpoint.experimental.v1 as v1, pathlib, sys
tx = optax.adam(0.1)
w = jnp.ones(4); s = tx.init(w)
first = "first" in sys.argv
@jax.jit
def step(w, s):
    l, g = jax.value_and_grad(lambda w: (w ** 2).mean())(w)
    u, s = tx.update(g, s, w)
    return optax.apply_updates(w, u), s
class Zero:
    def __init__(self, folder):
        self.manager = ocp.CheckpointManager(folder)
        self.last = self.manager.latest_step()
    def load(self, like):
        return self.manager.restore(self.last, args=ocp.args.StandardRestore(like))
    def save(self, i, tree):
        self.manager.save(i, args=ocp.args.StandardSave(tree), custom_metadata={"mine": 1})
    def mine(self):
        self.manager.wait_until_finished()
        return self.manager.metadata(self.manager.latest_step()).custom_metadata["mine"]
class One:
    def __init__(self, folder):
        self.manager = v1.training.Checkpointer(folder)
        self.last = self.manager.latest and self.manager.latest.step
    def load(self, like):
        load = getattr(self.manager, "load", None) or self.manager.load_pytree
        return load(self.last, like)
    def save(self, i, tree):
        save = getattr(self.manager, "save", None) or self.manager.save_pytree
        save(i, tree, custom_metadata={"mine": 1})
    def mine(self):
        metadata = getattr(self.manager, "metadata", None) or self.manager.pytree_metadata
        return metadata(self.manager.latest.step).custom_metadata["mine"]
kept = (One if "v1" in sys.argv else Zero)(pathlib.Path("kept").absolute())
if kept.last is not None:
    found = kept.load({"w": w, "s": s})
    w, s = found["w"], tx.init(w) if "anew" in sys.argv else found["s"]
for i in range(0 if kept.last is None else kept.last + 1, int(sys.argv[1])):
    w, s = step(w, s)
    if i % 3 == 2:
        kept.save(i, {"w": w, "s": s})
print("kept", kept.mine())
kept.manager.close()
if "v1" in sys.argv:
    (getattr(v1, "save", None) or v1.save_pytree)(pathlib.Path("alone").absolute() / sys.argv[1], {"w": w})
"""


@pytest.mark.slow
@pytest.mark.parametrize("api", ["v0", "v1"])
def test_resumed_from_a_checkpoint(jobs: Jobs, tmp_path: Path, api: str) -> None:
    """What a CheckpointManager, or a Checkpointer of Orbax's v1, restores goes on in the run that saved it, at its steps."""
    pytest.importorskip("orbax.checkpoint", reason="Orbax is not installed: pip install 'rankzero[jax]'")
    script = tmp_path / "train.py"
    script.write_text(RESUMED)
    for steps in (5, 8):
        assert "kept 1" in jobs.run([sys.executable, script, str(steps), api], below=True)
    found = jobs.only()
    first, second = found.attempts
    assert (sorted(first.steps("loss")), sorted(second.steps("loss"))) == ([1, 2, 3, 4, 5], [4, 5, 6, 7, 8])
    assert rankzero_jax.run_of(tmp_path / "kept") == rankzero_jax.run_of(str(tmp_path / "kept" / "5")) == found.id
    places = [tmp_path / "kept" / "2", tmp_path / "kept" / "5"]
    if api == "v1":  # its functions name the run as well
        places = [places[0], tmp_path / "alone" / "5", places[1], tmp_path / "alone" / "8"]
        assert rankzero_jax.run_of(places[1]) == found.id
    assert [event.message for event in found.events("checkpoint")] == [str(place) for place in places]
    assert rankzero_jax.run_of(tmp_path / "nowhere") == ""


@pytest.mark.slow
def test_a_checkpoint_to_start_from(jobs: Jobs, tmp_path: Path) -> None:
    """With a new optimizer, or in another project, what a checkpoint begins is a run of its own: no step of the other's is replaced."""
    pytest.importorskip("orbax.checkpoint", reason="Orbax is not installed: pip install 'rankzero[jax]'")
    script = tmp_path / "train.py"
    script.write_text(RESUMED)
    jobs.run([sys.executable, script, "5"], below=True)
    first = jobs.only()
    jobs.run([sys.executable, script, "8", "anew"], below=True)
    jobs.run([sys.executable, script, "12"], below=True, environ={"RANKZERO_PROJECT": "other"})
    found = {recorded.id: recorded for recorded in map(Recorded, folders(jobs.root))}
    assert len(found) == 3
    assert found.pop(first.id).steps("loss") == [1, 2, 3, 4, 5]
    assert sorted(sorted(recorded.steps("loss")) for recorded in found.values()) == [
        [1, 2, 3, 4, 5],
        [4, 5, 6, 7, 8, 9],
    ]


def test_what_orbax_does_in_the_background_is_no_checkpoint_time(run: rankzero.Run, jobs: Jobs, tmp_path: Path) -> None:
    """A manager writes and finishes in threads of its own: training goes on meanwhile, and its time is not the checkpoint's."""
    ocp = pytest.importorskip("orbax.checkpoint", reason="Orbax is not installed: pip install 'rankzero[jax]'")
    rankzero_jax.listen()
    with ocp.CheckpointManager(tmp_path / "kept") as manager:
        manager.save(0, args=ocp.args.StandardSave({"w": jnp.ones(4)}))
        while manager.is_saving_in_progress():
            time.sleep(0.01)
        run.flush()
        assert jobs.only().phases().count("checkpoint") == 1
    run.finish()


@pytest.fixture
def clu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """CLU's own writers, but for those to TensorBoard: its package is loaded without what needs TensorFlow."""
    where = importlib.util.find_spec("clu")
    if where is None or where.submodule_search_locations is None:
        pytest.skip("CLU is not installed: pip install clu")
    package = types.ModuleType("clu.metric_writers")
    package.__path__ = [str(Path(folder) / "metric_writers") for folder in where.submodule_search_locations]
    monkeypatch.setitem(sys.modules, "clu.metric_writers", package)
    return package


def test_metric_writer_beside_others(clu: Any, run: rankzero.Run, jobs: Jobs) -> None:
    """In CLU's MultiWriter and its asynchronous one it takes every call of the interface, beside CLU's logging writer."""
    multi, interface, logging, asynchronous = (
        importlib.import_module(f"clu.metric_writers.{name}")
        for name in ("multi_writer", "interface", "logging_writer", "async_writer")
    )
    ours = rankzero_jax.MetricWriter()
    methods = [name for name in vars(interface.MetricWriter) if not name.startswith("_")]
    for name in methods:
        theirs = inspect.signature(getattr(interface.MetricWriter, name)).parameters
        assert list(inspect.signature(getattr(rankzero_jax.MetricWriter, name)).parameters) == list(theirs), name
    writer = asynchronous.AsyncMultiWriter([ours, logging.LoggingWriter()])
    write_everything(writer)
    writer.close()
    write_everything(multi.MultiWriter([ours, logging.LoggingWriter()]), step=4)
    run.finish()
    assert points(jobs.only(), "loss", "accuracy") == {"loss": {3: 2.0, 4: 2.0}, "accuracy": {3: 0.5, 4: 0.5}}


def write_everything(writer: Any, step: int = 3) -> None:
    """One call of each kind."""
    writer.write_hparams({"lr": 0.1})
    writer.write_scalars(step, {"loss": jnp.float32(2), "accuracy": 0.5})
    writer.write_summaries(step, {"distribution": np.arange(4.0)}, metadata={})
    writer.write_texts(step, {"note": "all is well"})
    writer.write_histograms(step, {"weights": np.arange(10.0)}, num_buckets={"weights": 5})
    writer.write_images(step, {"pictures": np.zeros((2, 4, 4, 3)), "picture": np.zeros((4, 4, 1))})
    writer.write_videos(step, {"film": np.zeros((1, 2, 4, 4, 3))})
    writer.write_audios(step, {"sound": np.zeros((1, 8, 1))}, sample_rate=8000)
    writer.flush()


def test_metric_writer(run: rankzero.Run, jobs: Jobs, capfd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scalars, texts, histograms, images and hyperparameters arrive under their names; what does not is said."""
    monkeypatch.setattr(errors, "_warned", set())
    writer = rankzero_jax.MetricWriter()
    write_everything(writer)
    writer.close()
    run.finish()
    found = jobs.only()
    assert points(found, "loss", "accuracy") == {"loss": {3: 2.0}, "accuracy": {3: 0.5}}
    assert [len(one.counts) for one in found.histograms("weights")] == [5]
    assert found.texts("note") == ["all is well"]
    media = [record.key for record in found.records if isinstance(record, Media)]
    assert sorted(media) == ["picture", "pictures", "pictures"]
    assert found.config["lr"] == 0.1
    told = capfd.readouterr().err
    assert "does not record video" in told
    assert "does not record audio" in told


def test_by_hand_it_tells_of_compilations_and_times(run: rankzero.Run, jobs: Jobs) -> None:
    """After `listen`: what was compiled, and again for other shapes; of `rankzero_jax.jit` the time of its calls, on this rank."""
    rankzero_jax.listen()

    @rankzero_jax.jit
    def step(x: Any) -> Any:
        rankzero_jax.log({"sum": x.sum()})
        return x + 1

    x = jnp.zeros(4)
    for _ in range(5):
        x = step(x)
    run.flush()
    step(jnp.zeros(6))
    run.finish()
    found = jobs.only()
    assert found.steps("time/step") == [1, 2, 3, 4, 5]
    assert {"time/step", "time/compile", "compile/again"} <= found.local
    again = found.values("compile/again")
    assert again[-1] > again[0] or len(again) == 1  # told once a step
    assert found.values("time/compile")[-1] > 0


def test_what_is_compiled_inside_counts_once() -> None:
    """The time of functions that are traced while others are is part of theirs: never more than has passed."""
    compiles = Compiles()
    compiles.listen()

    def slow(x: Any) -> Any:
        time.sleep(0.2)
        return x + 1

    began = time.monotonic()
    for _ in range(8):
        slow = jax.jit(lambda x, inner=slow: inner(x) * 2)
    slow(jnp.ones(3)).block_until_ready()
    assert 0.2 < compiles.seconds <= time.monotonic() - began + 0.01


def test_device_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a device tells its memory it is read, at most every ten seconds. The device is a fake, as CPUs tell nothing."""

    class Device:
        id = 3

        def memory_stats(self) -> dict[str, int] | None:
            return {"bytes_in_use": 5, "peak_bytes_in_use": 7, "bytes_limit": 9, "num_allocs": 1}

    class Silent(Device):
        def memory_stats(self) -> None:
            return None

    jax.devices()
    memory = Memory()
    monkeypatch.setattr(jax, "local_devices", lambda: [Device(), Silent()])
    assert memory.due()
    names = ("memory", "memory_peak", "memory_limit")
    assert memory.row()[1] == {f"system/device.3.{name}": value for name, value in zip(names, (5, 7, 9), strict=True)}
    assert not memory.due()


def test_capture_in_flax(run: rankzero.Run, jobs: Jobs) -> None:
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
    found = jobs.only()
    assert sorted(found.steps("grad/norm/kernel")) == [0, 2]
    assert sorted(found.steps("grad/norm/Dense_0.kernel@2")) == [0, 2]
    assert found.config["model"]["parameters"] == 10


def test_the_pages_example(jobs: Jobs, tmp_path: Path) -> None:
    """The example in the documentation runs as it stands and records what it says."""
    pytest.importorskip("optax", reason="optax is not installed: pip install 'rankzero[jax]'")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(code)
    jobs.run([sys.executable, script])
    found = jobs.only()
    assert [len(found.values(name)) for name in ("loss", "grad/norm", "update/ratio/w")] == [100, 2, 2]
    assert len(found.values("time/step")) == 99
    assert found.values("compile/programs")
    assert found.config["model"]["parameters"] == 32


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
