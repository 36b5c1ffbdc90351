"""What `RankZeroCallback` records of fit, evaluate and predict, on the backend that is installed."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import BACKEND, Root
from tests.integrations.keras.tiny import data, model

import rankzero
from rankzero_keras import RankZeroCallback

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_fit_under_the_users_names(root: Root) -> None:
    """Every batch's and epoch's numbers are those that Keras has; a step is a batch that was trained on."""
    seen: list[float] = []

    class Sees(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(logs["loss"])

    made = model()
    history = made.fit(
        *data(), epochs=3, batch_size=16, validation_data=data(), callbacks=[RankZeroCallback(), Sees()], verbose=0
    )
    recorded = root.only()
    by_step = dict(recorded.series["loss"][0])
    assert [by_step[step] for step in range(1, 13)] == pytest.approx(seen)
    assert recorded.steps("val_loss") == [4, 8, 12]
    for name in ("val_loss", "val_mae"):
        assert recorded.values(name) == pytest.approx(history.history[name])
    assert by_step[12] == pytest.approx(history.history["loss"][-1])
    assert recorded.values("progress/epoch") == [0, 1, 2]
    assert recorded.steps("time/step") == list(range(2, 13))
    assert recorded.values("time/eval")
    assert "evaluation" in recorded.phases()


def test_what_it_was_configured_with(root: Root) -> None:
    """Fit's arguments, the model's layout, optimizer, schedule, compile configuration and versions are the config."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    model(keras.optimizers.SGD(schedule, momentum=0.9)).fit(
        *data(), batch_size=32, callbacks=[RankZeroCallback()], verbose=0
    )
    config = root.only().config
    assert (config["fit"]["batch_size"], config["model"]["parameters"]) == (32, 8 * 16 + 16 + 17)
    assert [layer[1:] for layer in config["model"]["layers"]] == [["Dense", 144], ["Dense", 17]]
    assert (config["optimizer"]["class"], config["optimizer"]["momentum"]) == ("SGD", 0.9)
    assert config["optimizer"]["learning_rate"]["class"] == "ExponentialDecay"
    assert config["compile"]["loss"] == "mse"
    assert config["versions"]["keras"] == keras.__version__
    assert BACKEND in config["versions"]


def test_a_model_that_its_first_batch_builds(root: Root) -> None:
    """Its size and layers are known when it has been built: on TensorFlow that is after a fit began."""
    made = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    x, y = data()
    made.fit(x, y, batch_size=32, callbacks=[RankZeroCallback()], verbose=0)
    config = root.only().config
    weights = (x.shape[1] * 4 + 4) + (4 + 1)
    assert (config["model"]["parameters"], config["model"]["trainable"]) == (weights, weights)
    assert [layer[1] for layer in config["model"]["layers"]] == ["Dense", "Dense"]
    assert config["fit"]["batch_size"] == 32


def test_learning_rate_of_a_schedule(root: Root) -> None:
    """It is the one that each step was made with."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5)
    model(keras.optimizers.SGD(schedule)).fit(
        *data(), epochs=2, batch_size=16, callbacks=[RankZeroCallback()], verbose=0
    )
    for step, rate in root.only().series["optim/lr"][0]:
        assert rate == pytest.approx(0.1 * 0.5 ** ((step - 1) / 4), rel=1e-5)


def test_learning_rate_that_callbacks_set(root: Root) -> None:
    """A scheduler's and a plateau callback's rate is recorded from the epoch on in which it is used."""
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
        RankZeroCallback(),
    ]
    model("sgd").fit(*data(), epochs=3, batch_size=32, callbacks=callbacks, verbose=0)
    rates = dict(root.only().series["optim/lr"][0])
    assert [rates[step] for step in range(1, 7)] == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.1 / 3, 0.1 / 3])


def test_metrics_that_callbacks_add(root: Root) -> None:
    """What a callback adds to an epoch's metrics is recorded as it stands in `History`, and only of epochs that have it."""

    class Adds(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs.update({"val_f1": 0.5 + epoch} if epoch != 1 else {})

    history = model("sgd").fit(*data(), epochs=3, batch_size=32, callbacks=[RankZeroCallback(), Adds()], verbose=0)
    assert root.only().series["val_f1"][0] == [(2, 0.5), (6, 2.5)]
    assert root.only().values("val_f1") == history.history["val_f1"]


def test_rows_every_so_many_batches(root: Root) -> None:
    """Epochs are recorded whatever is said of batches."""
    model().fit(*data(), epochs=2, batch_size=8, callbacks=[RankZeroCallback(batches=3)], verbose=0)
    assert sorted(set(root.only().steps("loss"))) == [3, 6, 8, 9, 12, 15, 16]


@pytest.mark.parametrize("log_freq", [None, 1])
def test_rows_of_epochs_only(root: Root, log_freq: int | None) -> None:
    """Rows stand at epochs' last steps, with the rates that callbacks set; gradients come only if they are asked for."""
    made = keras.Sequential([keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
        RankZeroCallback(batches=0, log_freq=log_freq),
    ]
    for first in (0, 2):
        history = made.fit(
            *data(), epochs=first + 2, initial_epoch=first, batch_size=16, validation_split=0.25, callbacks=callbacks,
            verbose=0,
        )  # fmt: skip
    recorded = root.only()
    assert recorded.steps("loss") == recorded.steps("val_loss") == recorded.steps("progress/epoch") == [3, 6, 9, 12]
    assert recorded.values("val_loss")[2:] == pytest.approx(history.history["val_loss"])
    assert recorded.values("optim/lr") == pytest.approx([0.1, 0.05, 0.1 / 3, 0.025])
    assert "optim/lr" in recorded.captured("recorded")
    assert recorded.steps("time/eval") == [3, 6, 9, 12]
    assert recorded.config["model"]["parameters"] == data()[0].shape[1] + 1
    assert "time/step" not in recorded.series
    assert ("grad/norm" in recorded.series) == (log_freq is not None)


def test_evaluation_by_itself(root: Root) -> None:
    """Its metrics are recorded beside those of training, as `test_...`, at the step where it happens."""
    made, callback = model(), RankZeroCallback()
    made.fit(*data(), batch_size=16, callbacks=[callback], verbose=0)
    found = made.evaluate(*data(), callbacks=[callback], return_dict=True, verbose=0)
    made.predict(data()[0], callbacks=[callback], verbose=0)
    recorded = root.only()
    assert recorded.steps("test_loss") == [4]
    assert recorded.values("test_mae") == pytest.approx([found["mae"]])


def test_two_fits_of_a_model_are_one_run(root: Root) -> None:
    """The second goes on where the first ended, also with a new optimizer."""
    made, callback = model(), RankZeroCallback()
    made.fit(*data(), batch_size=32, callbacks=[callback], verbose=0)
    made.fit(*data(), batch_size=32, callbacks=[callback], verbose=0)
    made.compile("sgd", "mse")
    made.fit(*data(), batch_size=32, callbacks=[callback], verbose=0)
    assert sorted(set(root.only().steps("loss"))) == [1, 2, 3, 4, 5, 6]


def test_two_models_are_two_runs(root: Root) -> None:
    """As they have two histories; a run that the program made itself is one for both."""
    for _ in range(2):
        model().fit(*data(), batch_size=32, callbacks=[RankZeroCallback()], verbose=0)
    assert [sorted(set(run.steps("loss"))) for run in root.runs()] == [[1, 2], [1, 2]]
    mine = rankzero.init(project="mine")
    for _ in range(2):
        model().fit(*data(), batch_size=32, callbacks=[RankZeroCallback(project="other")], verbose=0)
    assert mine.state == "running"
    assert len(root.runs()) == 3


def test_what_is_given_reaches_the_run(root: Root) -> None:
    """Project, name and tags are those of the callback."""
    callback = RankZeroCallback(project="digits", name="first", tags=["small"])
    model().fit(*data(), callbacks=[callback], verbose=0)
    assert callback.run is not None
    assert (callback.run.project, callback.run.name, callback.run.tags) == ("digits", "first", ("small",))
    assert root.only().folder.parent.name == "digits"


def test_a_step_that_raises(root: Root) -> None:
    """The error is the program's own, and the run says what happened."""

    class Breaks(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise ZeroDivisionError("so it goes")

    made, callbacks = model(), [RankZeroCallback(), Breaks()]
    with pytest.raises(ZeroDivisionError):
        made.fit(*data(), callbacks=callbacks, verbose=0)
    (event,) = root.only().events("training-failed")
    assert "so it goes" in event.message


def test_the_callback_can_be_copied(root: Root) -> None:
    """Pickled before it is used, it records as ever."""
    again = pickle.loads(pickle.dumps(RankZeroCallback(name="copy")))
    model().fit(*data(), callbacks=[again], verbose=0)
    assert root.only().steps("loss")


def test_arguments_that_cannot_be() -> None:
    """Each is one clear sentence."""
    with pytest.raises(rankzero.RankZeroError, match="gradients"):
        RankZeroCallback(log="everything")
    with pytest.raises(rankzero.RankZeroError, match="at least"):
        RankZeroCallback(batches=-1)
