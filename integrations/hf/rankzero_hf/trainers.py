"""Trainers of programs that never mention rankzero: heard beside their callbacks, of which none is added."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator
from copy import copy
from types import ModuleType
from typing import Any

from rankzero.plugin import guarded, replace, warn_once
from rankzero_hf.listening import goes_on, stepped, trained
from rankzero_hf.recording import EVENTS, Recording
from rankzero_pytorch.zero_change.hooks import loop

EVALUATIONS = ("evaluate", "predict", "evaluation_loop")
"""Methods of a Trainer that evaluate; a subclass may replace one and call another."""


class Trainers:
    """The recordings of this process's Trainers, by the handlers that call their callbacks."""

    def __init__(self) -> None:
        self._recordings: weakref.WeakKeyDictionary[Any, Recording] = weakref.WeakKeyDictionary()
        self._counting: set[int] = set()  # ids of handlers whose Trainer trains, and whose batches are counted

    def around_event(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For the methods of `CallbackHandler` that are named like events."""
        event = original.__name__
        parameters = tuple(inspect.signature(original).parameters)[1:]
        hear = guarded("listening to a Trainer")(self._hear)

        def call(handler: Any, *args: Any, **kwargs: Any) -> Any:
            told = dict(zip(parameters, args, strict=False)) | kwargs
            logs = copy(told.get("logs"))  # of which PrinterCallback takes total_flos out
            with loop.writers.silenced():
                result = original(handler, *args, **kwargs)
            hear(handler, event, result, {**told, "logs": {**logs, **told["logs"]}} if logs else told)
            return result

        return call

    def around_optimizer_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `CallbackHandler.on_optimizer_step`, which is in the way of every step."""

        def on_optimizer_step(handler: Any, *args: Any, **kwargs: Any) -> Any:
            if id(handler) in self._counting:
                stepped()
            return original(handler, *args, **kwargs)

        return on_optimizer_step

    def around_substep_end(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `CallbackHandler.on_substep_end`: a batch of which no step follows yet."""

        def on_substep_end(handler: Any, *args: Any, **kwargs: Any) -> Any:
            if id(handler) in self._counting:
                trained()
            return original(handler, *args, **kwargs)

        return on_substep_end

    def around_train(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `Trainer.train`: of a training that raises, no event tells the end."""
        begin = guarded("noticing a training")(self._settle)
        failed = guarded("noticing that a training failed")(self._failed)

        def train(trainer: Any, *args: Any, **kwargs: Any) -> Any:
            begin(trainer.callback_handler)
            try:
                return original(trainer, *args, **kwargs)
            except BaseException as error:
                failed(trainer.callback_handler, error)
                raise

        return train

    def around_evaluation(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For methods of `Trainer` that evaluate, whoever calls them."""
        return self._around("evaluation", original)

    def around_checkpoint(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `Trainer._save_checkpoint`."""
        return self._around("checkpoint", original)

    def _around(self, phase: str, original: Callable[..., Any]) -> Callable[..., Any]:
        begin = guarded("noticing that training is interrupted")(self._interrupted)
        end = guarded("noticing that training goes on")(goes_on)

        def work(trainer: Any, *args: Any, **kwargs: Any) -> Any:
            mine = begin(trainer.callback_handler, phase)
            try:
                return original(trainer, *args, **kwargs)
            finally:
                if mine:
                    end()

        return work

    def _failed(self, handler: Any, error: BaseException) -> None:
        for recording in self._of(handler):
            recording.failed(error)
        self._counting = self._counting - {id(handler)}

    def _settle(self, handler: Any) -> None:
        """Of several callbacks of ours the last one records: those that the program passes come after `report_to`'s."""
        found = list(self._of(handler))
        for place, recording in enumerate(found, 1):
            recording.silent = place < len(found)
        if len(found) > 1:
            warn_once("callbacks", "a Trainer has several RankZeroCallbacks; only the last one records")

    def _interrupted(self, handler: Any, phase: str) -> bool:
        self._settle(handler)
        return any(recording.interrupted_by(phase) for recording in self._of(handler))

    def _of(self, handler: Any) -> Iterator[Recording]:
        """What is recorded of a Trainer, with no change or by callbacks of ours."""
        from rankzero_hf.callback import RankZeroCallback

        if handler in self._recordings:
            yield self._recordings[handler]
        for callback in handler.callbacks:
            if isinstance(callback, RankZeroCallback):
                yield callback.recording

    def _hear(self, handler: Any, event: str, control: Any, more: dict[str, Any]) -> None:
        from rankzero_hf.callback import RankZeroCallback

        if any(isinstance(callback, RankZeroCallback) for callback in handler.callbacks):
            return
        recording = self._recordings.get(handler)
        if recording is None:
            recording = self._recordings[handler] = Recording()
        recording.hear(event, **{"model": handler.model, **more, "control": control})
        self._counting = self._counting | {id(handler)} if recording.counts else self._counting - {id(handler)}


trainers = Trainers()
"""Of this process."""


def listen(module: ModuleType) -> None:
    """Listen to the Trainers of `transformers.trainer_callback`."""
    handler = module.CallbackHandler
    for event in EVENTS:
        replace(handler, event, trainers.around_event)
    replace(handler, "on_substep_end", trainers.around_substep_end)
    replace(handler, "on_optimizer_step", trainers.around_optimizer_step)


def listen_to_work(module: ModuleType) -> None:
    """Notice what the Trainers of `transformers.trainer` do beside training, and trainings that raise."""
    replace(module.Trainer, "train", trainers.around_train)
    replace(module.Trainer, "_save_checkpoint", trainers.around_checkpoint)
    for name in EVALUATIONS:
        replace(module.Trainer, name, trainers.around_evaluation)
