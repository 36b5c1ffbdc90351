"""Loops of a program's own around `Model.train_on_batch`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rankzero.plugin import guarded, replace
from rankzero_keras.recording import Recording

Of = Callable[[Any], Recording | None]


class Batches:
    """Tells the recordings of models of batches that the program has them trained on one by one.

    Args:
        of: finds a model's recording.
        working: the recordings of models that are at work, to which one belongs during the call.
    """

    def __init__(self, of: Of, working: list[Recording]) -> None:
        self._of = of
        self._working = working

    def install(self, trainer: Any) -> None:
        """Listen, once however often it is asked for, to the class that has the method."""
        replace(trainer, "train_on_batch", self.around)

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `train_on_batch`."""
        begin = guarded("noticing a batch")(self._begin)
        end = guarded("recording a batch")(Recording.own_batch_ended)

        def train_on_batch(
            model: Any,
            x: Any,
            y: Any = None,
            sample_weight: Any = None,
            class_weight: Any = None,
            return_dict: bool = False,
        ) -> Any:
            recording = begin(model)
            if recording is None:
                return original(model, x, y, sample_weight, class_weight, return_dict)
            self._working.append(recording)
            try:
                logs = original(model, x, y, sample_weight, class_weight, return_dict=True)
            finally:
                self._working.remove(recording)
            end(recording, x, logs)
            return logs if return_dict else model._flatten_metrics_in_order(logs)  # noqa: SLF001 - as the original does

        return train_on_batch

    def _begin(self, model: Any) -> Recording | None:
        recording = self._of(model)
        if recording is None or recording in self._working or not recording.own_batch_began():
            return None
        return recording
