"""Where this package hears of checkpoints: in the functions through which Keras saves and loads, whoever calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras.src.saving import saving_lib

from rankzero.plugin import guarded, replace
from rankzero_keras.identity import origin, sign
from rankzero_keras.recording import Recording

Of = Callable[[Any], Recording | None]


class Saving:
    """Tells the recordings of models of their checkpoints.

    Args:
        of: finds a model's recording.
    """

    def __init__(self, of: Of) -> None:
        self._of = of

    def install(self) -> None:
        """Listen, once however often it is asked for."""
        replace(saving_lib, "save_model", self.around_save)
        replace(saving_lib, "save_weights_only", self.around_save)
        replace(saving_lib, "load_model", self.around_load_model)
        replace(saving_lib, "load_weights_only", self.around_load_weights)

    def around_save(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For what is called with a model and a path."""
        begin, end = guarded("noticing a checkpoint")(self._begin), guarded("noticing a checkpoint")(self._saved)

        def save(model: Any, filepath: Any, *args: Any, **kwargs: Any) -> Any:
            recording = begin(model)
            if recording is None:
                return original(model, filepath, *args, **kwargs)
            try:
                result = original(model, filepath, *args, **kwargs)
            finally:
                recording.end_phase()
            end(recording, filepath)
            return result

        return save

    def around_load_model(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For what is called with a path, and returns a model."""
        note = guarded("looking at a checkpoint")(self._loaded)

        def load_model(filepath: Any, *args: Any, **kwargs: Any) -> Any:
            model = original(filepath, *args, **kwargs)
            note(model, filepath)
            return model

        return load_model

    def around_load_weights(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For what is called with a model and a path."""
        note = guarded("looking at a checkpoint")(self._loaded)

        def load_weights_only(model: Any, filepath: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(model, filepath, *args, **kwargs)
            note(model, filepath)
            return result

        return load_weights_only

    def _begin(self, model: Any) -> Recording | None:
        recording = self._of(model)
        return (
            recording
            if recording is not None and recording.existing() and recording.begin_phase("checkpoint")
            else None
        )

    def _saved(self, recording: Recording, filepath: Any) -> None:
        run = recording.existing()
        if run is not None:
            sign(filepath, run, recording.done)
            recording.saved(filepath)

    def _loaded(self, model: Any, filepath: Any) -> None:
        recording, found = self._of(model), origin(filepath)
        if recording is not None and found is not None:
            recording.origin = found
