"""Beyond fit: loops of a program's own, watched models and tables of predictions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import BACKEND, Root
from tests.integrations.keras.tiny import data, model

import rankzero
from rankzero.records import Capture, Media
from rankzero.run.requirements import complaint
from rankzero_keras import RankZeroCallback, RankZeroEvalCallback

pytestmark = pytest.mark.filterwarnings("ignore")

JAX_IS_TOO_OLD = BACKEND == "jax" and bool(complaint("jax", "0.8"))
"""For the integration that sees steps of its own compiled functions."""


def test_a_loop_of_ones_own_by_hand(root: Root) -> None:
    """A CallbackList that the program drives itself is all it takes."""
    made = model()
    callbacks = keras.callbacks.CallbackList([RankZeroCallback()], model=made)
    callbacks.on_train_begin()
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        for batch in range(3):
            callbacks.on_train_batch_begin(batch)
            callbacks.on_train_batch_end(batch, {"loss": float(10 * epoch + batch)})
        callbacks.on_epoch_end(epoch, {"loss": 0.5, "val_loss": 0.25})
    callbacks.on_train_end()
    recorded = root.only()
    assert recorded.values("loss") == [0, 1, 2, 10, 11, 12]
    assert recorded.steps("val_loss") == [3, 6]


@pytest.mark.parametrize("applies", [True, False])
def test_gradients_of_a_loop_that_a_list_of_callbacks_tells_of(
    root: Root, capfd: pytest.CaptureFixture[str], applies: bool
) -> None:
    """What is asked for is measured where the loop calls the optimizer; where no call is seen, it is said."""
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, use_bias=False)])
    optimizer = keras.optimizers.SGD(0.5)
    callbacks = keras.callbacks.CallbackList([RankZeroCallback(log="all", log_freq=1)], model=made)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    for batch in range(3):
        callbacks.on_train_batch_begin(batch)
        if applies:
            optimizer.apply([keras.ops.full((4, 1), 1.0 + batch)], made.trainable_variables)
        callbacks.on_train_batch_end(batch, {"loss": 1.0})
    callbacks.on_epoch_end(0, {"loss": 1.0})
    callbacks.on_train_end()
    recorded = root.only()
    assert recorded.values("grad/norm") == ([2.0, 4.0, 6.0] if applies else [])
    assert len([key for key in recorded.series if key.startswith("update/ratio/")]) == int(applies)
    assert ("grad/norm" in recorded.captured("off")) != applies
    assert ("gradients are not recorded" in capfd.readouterr().err) != applies


@pytest.mark.slow
def test_loops_of_ones_own_with_no_change(root: Root) -> None:
    """Steps of an optimizer: learning rate, gradient norm and time of each, or the report says why not."""
    told = root.script("applies.py", RANKZERO_LOG_EVERY="1")
    *loops, fitted = root.runs()
    assert sorted(set(fitted.steps("loss"))) == [1, 2]
    assert ("not recorded: the optimizer step is compiled" in root.warned) == JAX_IS_TOO_OLD
    if JAX_IS_TOO_OLD:
        assert loops == []
        return
    (looped,) = loops
    assert looped.values("grad/norm") == pytest.approx(told["norms"], rel=1e-4)
    compiled = [5, 6, 7, 8] if BACKEND == "tensorflow" else []
    assert looped.steps("time/step") == [2, 3, 4, *compiled[1:]]
    assert [step for step in looped.steps("optim/lr") if step < 6] == [1, 2, 3, 4, *compiled[:1]]
    assert looped.values("optim/lr") == pytest.approx([0.01] * len(looped.steps("optim/lr")))
    lines = [record for record in looped.records if isinstance(record, Capture)]
    assert any("compiled" in line.why for line in lines if line.what == "grad/norm") == (BACKEND == "tensorflow")
    whys = [line.why for line in lines if line.what == "custom loop"]
    assert len(whys) == int(BACKEND == "jax")
    assert all("compiled" in why and "RankZeroCallback" in why for why in whys)


@pytest.mark.skipif(BACKEND != "torch", reason="elsewhere gradients are seen inside of compiled steps")
def test_why_there_are_no_gradients_of_a_step_that_torch_compiles(root: Root) -> None:
    """The capture report names the reason, and all else is recorded."""
    import torch

    made = model(jit_compile=True)
    with torch.compiler.set_stance("force_eager"):
        made.fit(*data(), batch_size=16, callbacks=[RankZeroCallback(log="all")], verbose=0)
    recorded = root.only()
    (why,) = {record.why for record in recorded.records if isinstance(record, Capture) and record.what == "grad/norm"}
    assert "torch.compile" in why
    assert recorded.steps("loss")
    assert "grad/norm" not in recorded.series


def test_a_watched_model(root: Root) -> None:
    """`run.watch(model)` records the fits that follow, until it is taken back."""
    made, run = model(), rankzero.init(project="mine", dir=root.path)
    run.watch(made, log="all", log_freq=2)
    made.fit(*data(), epochs=1, batch_size=16, verbose=0)
    run.unwatch(made)
    made.fit(*data(), epochs=1, batch_size=16, verbose=0)
    recorded = root.only()
    assert recorded.steps("grad/norm") == [1, 3]
    assert len(recorded.steps("weight/norm")) == 2
    assert sorted(set(recorded.steps("loss"))) == [1, 2, 3, 4]


class Predictions(RankZeroEvalCallback):
    """Labels and predictions of the first lines."""

    def rows(self, epoch: int, logs: dict[str, Any]) -> Iterable[tuple[Any, Any]]:
        """See `RankZeroEvalCallback`."""
        x, y = data()
        found = np.asarray(self.model(x[:5]) if BACKEND != "torch" else self.model.predict(x[:5], verbose=0))
        return zip(y[:5, 0], found[:, 0], strict=True)


def test_a_table_of_predictions(root: Root) -> None:
    """Every so many epochs and at the end there is a table with columns and rows, as a file of the run."""
    callbacks = [RankZeroCallback(), Predictions(["label", "prediction"], every=2)]
    model().fit(*data(), epochs=3, batch_size=16, callbacks=callbacks, verbose=0)
    recorded = root.only()
    tables = [record for record in recorded.records if isinstance(record, Media)]
    assert [table.step for table in tables] == [8, 12]
    (path,) = [path for path in recorded.folder.rglob("*.json") if tables[0].path in str(path)]
    table = json.loads(path.read_text(encoding="utf-8"))
    assert table["columns"] == ["label", "prediction"]
    assert len(table["data"]) == 5
    assert table["data"][0][0] == pytest.approx(float(data()[1][0, 0]))


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "torch", reason="tried on torch: the hooks are the same on all")
def test_a_callback_made_in_the_call_of_a_fit_that_fails(root: Root) -> None:
    """The very first fit was called before anything listened to it; that it broke off is known all the same."""
    root.script("inline.py", below=False)
    recorded = root.only()
    (event,) = recorded.events("training-failed")
    assert "broke off" in event.message
    assert recorded.state == "finished"
