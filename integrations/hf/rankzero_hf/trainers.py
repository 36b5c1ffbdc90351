"""Trainers of programs that never mention rankzero: heard beside their callbacks, of which none is added."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

from rankzero.plugin import guarded, replace
from rankzero_hf.listening import trained
from rankzero_hf.recording import EVENTS, STEP_END, SUBSTEP_END, Recording
from rankzero_pytorch.zero_change.hooks import loop


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
            with loop.writers.silenced():
                result = original(handler, *args, **kwargs)
            hear(handler, event, result, dict(zip(parameters, args, strict=False)) | kwargs)
            return result

        return call

    def around_step_end(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `CallbackHandler.on_step_end`, which is in the way of every step."""
        hear = guarded("listening to a Trainer")(self._hear)

        def on_step_end(handler: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            result = original(handler, args, state, control, **kwargs)
            if id(handler) in self._counting:
                trained()
            if result.should_evaluate or result.should_save:
                hear(handler, "on_step_end", result, {"args": args, "state": state, **kwargs})
            return result

        return on_step_end

    def around_substep_end(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `CallbackHandler.on_substep_end`: a batch of which no step follows yet."""

        def on_substep_end(handler: Any, *args: Any, **kwargs: Any) -> Any:
            if id(handler) in self._counting:
                trained()
            return original(handler, *args, **kwargs)

        return on_substep_end

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
    special = {STEP_END: trainers.around_step_end, SUBSTEP_END: trainers.around_substep_end}
    for event in EVENTS:
        replace(module.CallbackHandler, event, special.get(event, trainers.around_event))
