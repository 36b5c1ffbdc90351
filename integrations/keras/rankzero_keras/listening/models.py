"""Where this package listens to models: in Keras's own functions, so that lists of callbacks stay the user's."""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Callable
from typing import Any

import keras

from rankzero.plugin import Run, current_run, guarded, replace, started_by_run, training_run
from rankzero_keras.integration import NAME
from rankzero_keras.listening.batches import Batches
from rankzero_keras.listening.loops import Loops
from rankzero_keras.listening.saving import Saving
from rankzero_keras.listening.summaries import Summaries
from rankzero_keras.recording import Recording
from rankzero_keras.training import Training, counted, trainings


class Models:
    """The models of this process that are worked with; `working` holds the calls under way, the innermost last."""

    def __init__(self) -> None:
        self.working: list[Recording] = []
        self._known: weakref.WeakKeyDictionary[Any, Recording] = weakref.WeakKeyDictionary()

    def of(self, model: Any) -> Recording | None:
        """What is known of a model; of one that wraps it (torch's DistributedDataParallel) as well."""
        if not isinstance(model, keras.Model):
            model = getattr(model, "module", None)
        if not isinstance(model, keras.Model):
            return None
        found = self._known.get(model)
        if found is None:
            found = self._known[model] = Recording(model)
        return found

    def all(self) -> list[Recording]:
        """All that are known."""
        return list(self._known.values())

    def begin(self, model: Any, callbacks: Any) -> Recording | None:
        """A model sets to work; None if it is at work already, or no model."""
        recording = self.of(model)
        if recording is None or recording in self.working:
            return None
        recording.begin(callbacks)
        self.working.append(recording)
        return recording

    def end(self, recording: Recording) -> None:
        """It is done."""
        if recording in self.working:
            self.working.remove(recording)
            recording.end()


models = Models()
batches = Batches(models.of, models.working)
loops = Loops(lambda: bool(models.working))
"""Of this process."""


def install() -> None:
    """Listen, once however often it is asked for."""
    trainer = next(owner for owner in keras.Model.__mro__ if "fit" in owner.__dict__)
    for name in ("fit", "evaluate", "predict"):
        replace(trainer, name, _around_work)
    batches.install(trainer)
    listed = keras.callbacks.CallbackList
    for name, hear in _AFTER.items():
        replace(listed, name, _after(hear))
    for name, hear in _BEFORE.items():
        replace(listed, name, _before(hear))
    Saving(models.of).install()
    if started_by_run():
        loops.install()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        summaries = Summaries(_active_run)
        summaries.install(tf.summary)
        # Another module, which stands in its place once somebody has imported it.
        summaries.install(importlib.import_module("tensorflow.summary"))
    replace(listed, "on_train_batch_end", _around_batch_end)


def _active_run() -> Run | None:
    """The run that models of this process are recorded to, or would be."""
    run = current_run() or training_run(NAME)
    return run if run is not None and run.state == "running" and not run.disabled else None


def _around_work(original: Callable[..., Any]) -> Callable[..., Any]:
    begin = guarded("noticing a model")(models.begin)
    end = guarded("noticing that a model is done")(models.end)
    failed = guarded("noticing that a model failed")(Recording.failed)

    def work(model: Any, *args: Any, **kwargs: Any) -> Any:
        recording = begin(model, kwargs.get("callbacks"))
        if recording is None:
            return original(model, *args, **kwargs)
        try:
            return original(model, *args, **kwargs)
        except BaseException as error:
            failed(recording, error)
            raise
        finally:
            end(recording)

    return work


def _of(listed: Any) -> Recording | None:
    """Of the model that a CallbackList is for; asked for in a way that does not have JAX put its state back."""
    return models.of(getattr(listed, "_model", None))


def _after(hear: Callable[..., None]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    careful = guarded("looking at a model")(hear)

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(listed: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(listed, *args, **kwargs)
            recording = _of(listed)
            if recording is not None:
                careful(recording, listed, *args, **kwargs)
            return result

        return call

    return around


def _before(hear: Callable[..., None]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    careful = guarded("looking at a model")(hear)

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(listed: Any, *args: Any, **kwargs: Any) -> Any:
            recording = _of(listed)
            if recording is not None:
                careful(recording, listed, *args, **kwargs)
            return original(listed, *args, **kwargs)

        return call

    return around


def _around_batch_begin(original: Callable[..., Any]) -> Callable[..., Any]:
    hear = guarded("noticing a batch")(Training.batch_began)

    def on_train_batch_begin(listed: Any, batch: Any, logs: Any = None) -> Any:
        result = original(listed, batch, logs)
        training = trainings.get(id(listed))
        if training is not None:
            hear(training)
        return result

    return on_train_batch_begin


def _around_batch_end(original: Callable[..., Any]) -> Callable[..., Any]:
    hear = guarded("recording a batch")(Training.batch_ended)

    def on_train_batch_end(listed: Any, batch: Any, logs: Any = None) -> Any:
        training = trainings.get(id(listed))
        if training is None:
            if id(listed) in counted:
                counted[id(listed)] = batch
            return original(listed, batch, logs)
        hear(training, batch, logs)
        result = original(listed, batch, logs)
        training.left()
        return result

    return on_train_batch_end


def _train_began(recording: Recording, listed: Any, logs: Any = None) -> None:
    if models.begin(listed._model, listed) is not None:  # noqa: SLF001 - as `_of` says
        recording.alone = True
        weakref.finalize(listed, guarded("noticing that a model failed")(_forgotten), recording).atexit = False
    recording.train_began(listed)
    if id(listed) in trainings:  # a process that records epochs only has no use for it
        if trainings[id(listed)].of_loop is not None:
            loops.install()
        replace(keras.callbacks.CallbackList, "on_train_batch_begin", _around_batch_begin)


def _train_ended(recording: Recording, listed: Any, logs: Any = None) -> None:
    recording.train_ended()
    if recording.alone:
        recording.alone = False
        models.end(recording)


def _forgotten(recording: Recording) -> None:
    """The list of callbacks is no more: if it never told of the end, an error that the program has dealt with came before."""
    if recording.alone:
        recording.alone = False
        recording.failed(RuntimeError("the training broke off, and the program dealt with the error"))
        models.end(recording)


def _epoch_began(recording: Recording, listed: Any, epoch: int, logs: Any = None) -> None:
    if recording.training is not None:
        recording.training.epoch_began(epoch)


def _epoch_ended(recording: Recording, listed: Any, epoch: int, logs: Any = None) -> None:
    recording.epoch_ended(logs)


def _epoch_told(recording: Recording, listed: Any, epoch: int, logs: Any = None) -> None:
    recording.epoch_told()


def _test_began(recording: Recording, listed: Any, logs: Any = None) -> None:
    recording.test_began(listed)


def _test_ended(recording: Recording, listed: Any, logs: Any = None) -> None:
    recording.test_ended(logs)


_AFTER: dict[str, Callable[..., None]] = {
    "on_train_begin": _train_began,
    "on_epoch_begin": _epoch_began,
    "on_epoch_end": _epoch_told,
    "on_train_end": _train_ended,
}
"""Heard of when the callbacks have: they may load weights, set the learning rate or add metrics."""

_BEFORE: dict[str, Callable[..., None]] = {
    "on_epoch_end": _epoch_ended,
    "on_test_begin": _test_began,
    "on_test_end": _test_ended,
}
"""Heard of before the callbacks."""
