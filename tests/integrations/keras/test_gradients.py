"""Gradients, weights and updates, measured where the optimizer uses them, inside of compiled steps, with the result unchanged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import BACKEND, Root
from tests.integrations.keras.tiny import data, model

from rankzero_keras import RankZeroCallback
from rankzero_keras.clock import Clock

pytestmark = pytest.mark.filterwarnings("ignore")

RATE = 0.01
COMPILED = {"tensorflow": [True, False], "jax": [True], "torch": [False]}.get(BACKEND, [])


class Weights(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
    """Reads the weights after every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[list[Any]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """See `keras.callbacks.Callback`."""
        self.read.append(self.model.get_weights())

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """See `keras.callbacks.Callback`."""
        self.read.append(self.model.get_weights())


class Custom(keras.Model):  # type: ignore[misc, name-defined]
    """A step of its own."""

    def train_step(self, *args: Any) -> Any:
        """The same by another name."""
        return super().train_step(*args)


def _norm(parts: list[Any]) -> float:
    return math.sqrt(sum(float(np.sum(np.square(part, dtype=np.float64))) for part in parts))


@pytest.mark.parametrize("jit", COMPILED)
def test_they_are_what_the_optimizer_uses(root: Root, jit: bool) -> None:
    """Norms are those of the very steps that plain SGD took, of weights as they are in the middle of an epoch."""
    made, weights = model(keras.optimizers.SGD(RATE), jit_compile=jit), Weights()
    callback = RankZeroCallback(log="all", log_freq=1, histograms=True)
    made.fit(*data(), epochs=2, batch_size=16, callbacks=[callback, weights], verbose=0)
    recorded = root.only()
    pairs = list(zip(weights.read[:-1], weights.read[1:], strict=True))
    steps = [[(old - new) / RATE for old, new in zip(before, after, strict=True)] for before, after in pairs]
    assert recorded.values("grad/norm") == pytest.approx([_norm(step) for step in steps], rel=1e-3)
    assert recorded.values("weight/norm") == pytest.approx([_norm(after) for _, after in pairs], rel=1e-5)
    kernel = "tiny/hidden/kernel" if "grad/norm/tiny/hidden/kernel" in recorded.series else "hidden/kernel"
    first = [step[0] for step in steps]
    assert recorded.values(f"grad/norm/{kernel}") == pytest.approx([_norm([part]) for part in first], rel=1e-3)
    assert recorded.values(f"grad/max/{kernel}") == pytest.approx([abs(part).max() for part in first], rel=1e-3)
    ratios = [_norm([part * RATE]) / _norm([before[0]]) for part, (before, _) in zip(first, pairs, strict=True)]
    assert recorded.values(f"update/ratio/{kernel}") == pytest.approx(ratios, rel=1e-3)
    assert sum(recorded.histograms(f"grad/hist/{kernel}")[0].counts) == 128
    assert len(recorded.histograms(f"weight/hist/{kernel}")) == 8


def _optimizers() -> dict[str, Any]:
    made = keras.optimizers
    return {
        "adam": lambda: made.Adam(RATE),
        "clipped": lambda: made.Adam(RATE, global_clipnorm=0.1),
        "accumulated": lambda: made.SGD(RATE, gradient_accumulation_steps=2),
        "scaled": lambda: made.LossScaleOptimizer(made.SGD(RATE)),
    }


@pytest.mark.parametrize("kind", ["adam", "clipped", "accumulated", "scaled"])
def test_training_is_the_same_to_the_bit(root: Root, kind: str) -> None:
    """Measured at every step or not at all, weights come out alike; what is seen is unscaled, accumulated and clipped."""
    results = []
    for callbacks in ([], [RankZeroCallback(log="all", log_freq=1, histograms=True)]):
        made = model(_optimizers()[kind]())
        made.fit(*data(), epochs=2, batch_size=16, callbacks=callbacks, verbose=0)
        results.append([weight.tobytes() for weight in made.get_weights()])
    assert results[0] == results[1]
    recorded = root.only()
    assert recorded.steps("grad/norm") == ([2, 4, 6, 8] if kind == "accumulated" else list(range(1, 9)))
    assert all(norm < 100 for norm in recorded.values("grad/norm"))
    if kind == "clipped":
        assert recorded.values("grad/norm") == pytest.approx([0.1] * 8)
        assert min(recorded.values("grad/norm_unclipped")) > 1


def test_every_so_many_steps_of_a_step_of_ones_own(root: Root) -> None:
    """A custom `train_step` is measured like any, and is the model's own in between."""
    made, seen = model(kind=Custom), []

    class Sees(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append((sorted(logs), self.model.train_function))

    callbacks = [RankZeroCallback(log="gradients", log_freq=3), Sees()]
    history = made.fit(*data(), epochs=2, batch_size=16, callbacks=callbacks, verbose=0)
    assert root.only().steps("grad/norm") == [1, 4, 7]
    assert {tuple(names) for names, _ in seen} == {("loss", "mae")}
    assert len({id(function) for _, function in seen}) == 1
    assert sorted(history.history) == ["loss", "mae"]
    assert "train_step" not in made.__dict__


@pytest.mark.skipif(BACKEND == "torch", reason="Keras on torch takes one step at a time")
def test_several_steps_in_one_execution(root: Root) -> None:
    """With `steps_per_execution` the last step of each execution is there."""
    made = model(keras.optimizers.SGD(RATE), steps_per_execution=2)
    made.fit(*data(), epochs=2, batch_size=16, callbacks=[RankZeroCallback(log="gradients", log_freq=1)], verbose=0)
    recorded = root.only()
    assert recorded.steps("grad/norm") == [2, 4, 6, 8]
    assert sorted(set(recorded.steps("loss"))) == [2, 4, 6, 8]


@pytest.mark.skipif(BACKEND == "torch", reason="Keras on torch takes one step at a time")
def test_executions_that_epochs_cut_short(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are those that the optimizer took, also where the last execution has fewer, and times are those of one step."""
    end = Clock.end
    monkeypatch.setattr(Clock, "end", lambda clock: end(clock) * 0 + 6.0)  # an execution takes six seconds
    made = model(keras.optimizers.SGD(RATE), steps_per_execution=3)
    made.fit(*data(), epochs=2, batch_size=16, callbacks=[RankZeroCallback()], verbose=0)
    recorded = root.only()
    assert recorded.steps("progress/epoch") == [4, int(made.optimizer.iterations)]
    assert sorted(set(recorded.steps("loss"))) == [3, 4, 7, 8]
    assert recorded.series["time/step"][0] == [(3, 2.0), (4, 6.0), (7, 2.0), (8, 6.0)]
    assert recorded.values("throughput/samples") == pytest.approx([8, 16 / 6] * 2)


@pytest.mark.parametrize("eager", [False, True])
def test_without_being_asked(root: Root, eager: bool) -> None:
    """Where a step runs as Python the norm is sampled; elsewhere nothing is compiled for it before that costs little."""
    model(run_eagerly=eager).fit(*data(), batch_size=16, callbacks=[RankZeroCallback()], verbose=0)
    assert bool(root.only().values("grad/norm")) == (eager or BACKEND == "torch")


def test_without_being_asked_in_a_long_training(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once another compilation costs little of the time, the norm is sampled, and later fits need no further one."""
    monkeypatch.setattr("rankzero_keras.measuring.programs.COMPILING", 1e9)
    monkeypatch.setattr("rankzero_keras.measuring.programs.SELDOM", 3)
    made, callback = model(), RankZeroCallback()
    forms = []
    for _ in range(2):
        made.fit(*data(), batch_size=8, callbacks=[callback], verbose=0)
        forms.append(made.train_function.rankzero_programs)
    recorded = root.only()
    assert forms[0] is forms[1]
    if BACKEND != "torch":  # there it depends on what a sample costs
        assert recorded.steps("grad/norm") == [4, 7, 10, 13, 16]
    assert recorded.values("grad/norm")
    made.compile("sgd", "mse")
    made.fit(*data(), batch_size=8, callbacks=[callback], verbose=0)
    assert made.train_function.rankzero_programs is not forms[0]
