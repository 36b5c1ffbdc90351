"""Trainers of programs that never mention rankzero: heard beside their callbacks, of which none is added."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

from rankzero.plugin import guarded, replace
from rankzero_hf.recording import Recording
from rankzero_pytorch.zero_change.hooks import loop


class Trainers:
    """The recordings of this process's Trainers, by the handlers that call their callbacks."""

    def __init__(self) -> None:
        self._recordings: weakref.WeakKeyDictionary[Any, Recording] = weakref.WeakKeyDictionary()

    def around_event(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `CallbackHandler.call_event`."""
        hear = guarded("listening to a Trainer")(self._hear)

        def call_event(handler: Any, event: str, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            with loop.writers.silenced():
                result = original(handler, event, args, state, control, **kwargs)
            hear(handler, event, args, state, result, kwargs)
            return result

        return call_event

    def _hear(self, handler: Any, event: str, args: Any, state: Any, control: Any, more: dict[str, Any]) -> None:
        from rankzero_hf.callback import EVENTS, RankZeroCallback

        if event not in EVENTS or any(isinstance(callback, RankZeroCallback) for callback in handler.callbacks):
            return
        recording = self._recordings.get(handler)
        if recording is None:
            recording = self._recordings[handler] = Recording()
        recording.hear(event, args, state, control, **{"model": handler.model, **more})


trainers = Trainers()
"""Of this process."""


def listen(module: ModuleType) -> None:
    """Listen to the Trainers of `transformers.trainer_callback`."""
    replace(module.CallbackHandler, "call_event", trainers.around_event)
