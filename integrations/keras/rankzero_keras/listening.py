"""Where this package listens to models: in Keras's own functions, so that lists of callbacks stay the user's."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from typing import Any

import keras

from rankzero.plugin import guarded
from rankzero_keras.describing import ARGUMENTS
from rankzero_keras.patching import replace
from rankzero_keras.recording import Recording


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


models = Models()
"""Of this process."""


def install() -> None:
    """Listen, once however often it is asked for."""
    trainer = next(owner for owner in keras.Model.__mro__ if "fit" in owner.__dict__)
    for name in ("fit", "evaluate", "predict"):
        replace(trainer, name, _around_work)
    listed = keras.callbacks.CallbackList
    for name, hear in _AFTER.items():
        replace(listed, name, _after(hear))
    for name, hear in _BEFORE.items():
        replace(listed, name, _before(hear))
    replace(listed, "on_train_batch_begin", _around_batch_begin)
    replace(listed, "on_train_batch_end", _around_batch_end)


def _around_work(original: Callable[..., Any]) -> Callable[..., Any]:
    names = inspect.signature(original)
    is_fit = original.__name__ == "fit"

    @guarded("noticing a model")
    def begin(model: Any, args: Any, kwargs: Any) -> Recording | None:
        recording = models.of(model)
        if recording is not None and recording not in models.working:
            given = names.bind(model, *args, **kwargs).arguments
            fit = {name: given[name] for name in ARGUMENTS if name in given}
            recording.begin(given.get("callbacks"), {"fit": fit} if is_fit else None)
            models.working.append(recording)
            return recording
        return None

    @guarded("noticing that a model is done")
    def end(recording: Recording) -> None:
        models.working.remove(recording)
        recording.end()

    failed = guarded("noticing that a model failed")(Recording.failed)

    def work(model: Any, *args: Any, **kwargs: Any) -> Any:
        recording = begin(model, args, kwargs)
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
    def on_train_batch_begin(listed: Any, batch: Any, logs: Any = None) -> Any:
        recording = models.working[-1] if models.working else None
        if recording is not None:
            recording.clock.begin()
        return original(listed, batch, logs)

    return on_train_batch_begin


def _around_batch_end(original: Callable[..., Any]) -> Callable[..., Any]:
    hear = guarded("recording a batch")(Recording.batch_ended)

    def on_train_batch_end(listed: Any, batch: Any, logs: Any = None) -> Any:
        recording = _of(listed)
        if recording is None or recording.training is None:
            return original(listed, batch, logs)
        hear(recording, batch, logs)
        result = original(listed, batch, logs)
        recording.clock.loop()
        return result

    return on_train_batch_end


def _train_began(recording: Recording, listed: Any, logs: Any = None) -> None:
    recording.train_began(listed)


def _train_ended(recording: Recording, listed: Any, logs: Any = None) -> None:
    recording.train_ended()


def _epoch_began(recording: Recording, listed: Any, epoch: int, logs: Any = None) -> None:
    if recording.training is not None:
        recording.training.epoch_began(epoch)


def _epoch_ended(recording: Recording, listed: Any, epoch: int, logs: Any = None) -> None:
    recording.epoch_ended(logs)


def _test_began(recording: Recording, listed: Any, logs: Any = None) -> None:
    recording.test_began(listed)


def _test_ended(recording: Recording, listed: Any, logs: Any = None) -> None:
    recording.test_ended(logs)


_AFTER = {"on_train_begin": _train_began, "on_epoch_begin": _epoch_began, "on_train_end": _train_ended}
"""Heard of when the callbacks have: they may load weights or set the learning rate."""

_BEFORE = {"on_epoch_end": _epoch_ended, "on_test_begin": _test_began, "on_test_end": _test_ended}
"""Heard of before the callbacks."""
