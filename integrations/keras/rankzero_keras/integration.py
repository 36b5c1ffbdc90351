"""What `rankzero.plugin` asks of an integration, for Keras 3."""

from __future__ import annotations

import sys
from typing import Any

from rankzero.plugin import Integration, Run

NAME = "keras"


class Keras(Integration):
    """Models recorded with no change to the program."""

    name = NAME
    framework = "keras"
    extra = "keras"

    def activate(self) -> None:
        """Listen to models."""
        from rankzero_keras.listening.models import install

        install()

    def watch(self, run: Run, obj: Any, **options: Any) -> bool:
        """Record gradients and parameters of a Keras model in the fits that follow."""
        models = _models()
        recording = None if models is None else models.of(obj)
        if recording is None:
            return False
        from rankzero_keras.measuring.wanted import wanted

        log, every = options.get("log", "gradients"), options.get("log_freq")
        watched = wanted(log, every, histograms=bool(options.get("histograms")))
        recording.watched = (run, watched) if log is not None else None
        return True

    def unwatch(self, run: Run, obj: Any) -> bool:
        """Stop watching a model, or all."""
        models = _models()
        found = False
        for recording in () if models is None else models.all() if obj is None else [models.of(obj)]:
            if recording is not None:
                found, recording.watched = True, None
        return found


def _models() -> Any:
    """The models of this process, listened to from now on; None where Keras is not in use."""
    if "keras" not in sys.modules:
        return None
    from rankzero_keras.listening.models import install, models

    install()
    return models


integration = Keras()
"""Named in the entry point group `rankzero.integrations`."""
