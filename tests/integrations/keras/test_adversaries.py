"""Models whose own step applies two optimizers and leaves `model.optimizer` alone."""

from __future__ import annotations

import math
from typing import Any

import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import BACKEND, Root
from tests.integrations.keras.tiny import data

from rankzero.records import Capture
from rankzero_keras import RankZeroCallback

pytestmark = pytest.mark.filterwarnings("ignore")


class Pair(keras.Sequential):  # type: ignore[misc, name-defined]
    """Two layers, each with an optimizer, compiled as Keras's guides do it for adversaries."""

    def compile(self, first: Any, second: Any) -> None:
        """See `keras.Model`."""
        super().compile()
        self.both = [(first, self.layers[0]), (second, self.layers[1])]

    def train_step(self, *args: Any) -> Any:
        """See `keras.Model`."""
        steps: dict[str, Any] = {"torch": self._torch, "tensorflow": self._tensorflow, "jax": self._jax}
        return steps[BACKEND](*args)

    def _error(self, x: Any, y: Any) -> Any:
        return keras.ops.mean((self(x) - y) ** 2)

    def _torch(self, xy: Any) -> Any:
        import torch

        for optimizer, layer in self.both:
            self.zero_grad()
            loss = self._error(*xy)
            loss.backward()
            with torch.no_grad():
                optimizer.apply([one.value.grad for one in layer.trainable_weights], layer.trainable_weights)
        return {"loss": loss}

    def _tensorflow(self, xy: Any) -> Any:
        import tensorflow as tf

        for optimizer, layer in self.both:
            with tf.GradientTape() as tape:
                loss = self._error(*xy)
            gradients = tape.gradient(loss, layer.trainable_weights)
            optimizer.apply_gradients(zip(gradients, layer.trainable_weights, strict=True))
        return {"loss": loss}

    def _jax(self, state: Any, xy: Any) -> Any:
        """Gradients are the weights themselves: what matters here is who is called."""
        values, *others = state
        for optimizer, _ in self.both:
            values, _ = optimizer.stateless_apply([one.value for one in optimizer.variables], values, values)
        return {"loss": keras.ops.mean(xy[1])}, (values, *others)


class Weights(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
    """Reads the weights of each layer after every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[list[Any]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """See `keras.callbacks.Callback`."""
        self.read.append([layer.get_weights() for layer in self.model.layers])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """See `keras.callbacks.Callback`."""
        self.read.append([layer.get_weights() for layer in self.model.layers])


def _pair(*optimizers: Any, kind: Any = Pair) -> Any:
    keras.utils.set_random_seed(0)
    made = kind([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(1)])
    halves = keras.optimizers.schedules.ExponentialDecay(0.02, 1, 0.5)
    made.compile(*(optimizers or (keras.optimizers.SGD(0.01), keras.optimizers.Adam(halves))))
    if BACKEND == "jax":
        for optimizer, _ in made.both:
            optimizer.build(made.trainable_variables)
    return made


@pytest.mark.parametrize("batches", [1, 0])
def test_the_optimizers_that_a_step_applies(root: Root, batches: int) -> None:
    """Learning rates and the config are theirs, the second one's with "@2", also in a second fit, which traces nothing."""
    made = _pair()
    for _ in range(2):
        made.fit(*data(), batch_size=32, callbacks=[RankZeroCallback(batches=batches)], verbose=0)
    recorded = root.only()
    classes = [recorded.config[name]["class"] for name in ("optimizer", "optimizer@2")]
    assert classes == ["SGD", "Adam"]
    if BACKEND == "jax":
        assert not {"optim/lr", "optim/lr@2"} & set(recorded.series)
        whys = [record.why for record in recorded.records if isinstance(record, Capture) and record.what == "optim/lr"]
        assert any("other optimizers" in why for why in whys)
        return
    assert recorded.steps("optim/lr") == ([1, 2, 3, 4] if batches else [2, 4])
    assert recorded.values("optim/lr") == pytest.approx([0.01] * len(recorded.steps("optim/lr")))
    scheduled = dict(recorded.series["optim/lr@2"][0])
    assert set(scheduled) >= ({1, 3} if batches else {2, 4})
    for step, rate in scheduled.items():
        assert rate == pytest.approx(0.02 * 0.5 ** (step - 1))


def test_the_gradients_that_each_optimizer_uses(root: Root) -> None:
    """Each optimizer's norm is that of the very steps which it took, the second one's with "@2"; weights stay what they are."""
    results = []
    for callbacks in ([], [RankZeroCallback(log="gradients", log_freq=1)]):
        weights = Weights()
        made = _pair(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.02))
        made.fit(*data(), batch_size=16, callbacks=[*callbacks, weights], verbose=0)
        results.append([weight.tobytes() for weight in made.get_weights()])
    assert results[0] == results[1]
    recorded = root.only()
    if BACKEND == "jax":  # the gradients are all weights, and both optimizers move them
        first = [_norm([*one, *two]) for one, two in weights.read[:-1]]
        norms = [first, [0.99 * norm for norm in first]]
    else:
        pairs = list(zip(weights.read[:-1], weights.read[1:], strict=True))
        norms = [[_moved(old[at], new[at]) / (0.01, 0.02)[at] for old, new in pairs] for at in (0, 1)]
    assert recorded.steps("grad/norm") == recorded.steps("grad/norm@2") == [1, 2, 3, 4]
    assert recorded.values("grad/norm") == pytest.approx(norms[0], rel=1e-3)
    assert recorded.values("grad/norm@2") == pytest.approx(norms[1], rel=1e-3)
    kernels = [name for name in recorded.series if name.startswith("grad/norm/") and "kernel" in name]
    assert sorted(name.endswith("@2") for name in kernels) == (
        [False, False, True, True] if BACKEND == "jax" else [False, True]
    )


def _norm(parts: list[Any]) -> float:
    return math.sqrt(sum(float((part**2).sum()) for part in parts))


def _moved(old: list[Any], new: list[Any]) -> float:
    return _norm([before - after for before, after in zip(old, new, strict=True)])


class Conditional(Pair):
    """Its second optimizer is applied within a condition that is compiled."""

    def _tensorflow(self, xy: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape(persistent=True) as tape:
            loss = self._error(*xy)
        (first, layer), (second, last) = self.both
        first.apply(tape.gradient(loss, layer.trainable_weights), layer.trainable_weights)
        gradients = tape.gradient(loss, last.trainable_weights)

        def apply() -> Any:
            second.apply(gradients, last.trainable_weights)
            return loss

        return {"loss": tf.cond(loss > 0, apply, lambda: loss)}

    def _jax(self, state: Any, xy: Any) -> Any:
        import jax

        values, *others = state
        (first, _), (second, _) = self.both
        held = [[one.value for one in optimizer.variables] for optimizer in (first, second)]
        values, _ = first.stateless_apply(held[0], values, values)
        loss = keras.ops.mean(xy[1])
        values = jax.lax.cond(loss > 0, lambda: second.stateless_apply(held[1], values, values)[0], lambda: values)
        return {"loss": loss}, (values, *others)


@pytest.mark.skipif(BACKEND == "torch", reason="on torch the step runs as Python")
def test_an_optimizer_within_a_condition(root: Root) -> None:
    """What a part of a compiled step does not hand out is left out, with the reason; the rest is there, and training as it was."""
    results = []
    for callbacks in ([], [RankZeroCallback(log="gradients", log_freq=1)]):
        made = _pair(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.02), kind=Conditional)
        made.fit(*data(), batch_size=32, callbacks=callbacks, verbose=0)
        results.append([weight.tobytes() for weight in made.get_weights()])
    assert results[0] == results[1]
    recorded = root.only()
    assert recorded.steps("grad/norm") == [1, 2]
    assert "grad/norm@2" not in recorded.series
    lines = [record for record in recorded.records if isinstance(record, Capture) and record.what == "grad/norm"]
    assert any("within a condition" in line.why for line in lines)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX has the optimizer's count meanwhile")
def test_a_step_without_an_optimizer_of_keras(root: Root) -> None:
    """Nothing is said of an optimizer that `compile` made and that never counts a step."""
    made = _pair()
    made.both = []
    made.train_step = lambda xy: {"loss": keras.ops.mean(xy[1])}
    made.fit(*data(), batch_size=32, callbacks=[RankZeroCallback()], verbose=0)
    recorded = root.only()
    assert recorded.steps("loss") == [1, 2]
    assert "optim/lr" not in recorded.series
    assert "optimizer" not in recorded.config
