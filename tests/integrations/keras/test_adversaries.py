"""Models whose own step applies two optimizers and leaves `model.optimizer` alone."""

from __future__ import annotations

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


def _pair() -> Any:
    keras.utils.set_random_seed(0)
    made = Pair([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(1)])
    halves = keras.optimizers.schedules.ExponentialDecay(0.02, 1, 0.5)
    made.compile(keras.optimizers.SGD(0.01), keras.optimizers.Adam(halves))
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
