"""`RankZeroModelCheckpoint`: Keras's own, whose files are kept with the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from rankzero import RankZeroError
from rankzero.plugin import current_run, guarded, warn_once
from rankzero_keras.callback import listen


class RankZeroModelCheckpoint(keras.callbacks.ModelCheckpoint):
    """Saves as `keras.callbacks.ModelCheckpoint` does; a fit that goes on from such a file continues the run.

    Args:
        filepath: where to save, as for Keras.
        *args: as for Keras.
        log_model: True keeps the last file with the run (with `save_best_only` that is the best), "all" each as it is saved, False
            only its path.
        **kwargs: as for Keras.

    Raises:
        RankZeroError: `log_model` is none of these.
    """

    def __init__(self, filepath: Any, *args: Any, log_model: bool | str = True, **kwargs: Any) -> None:
        if log_model not in {True, False, "all"}:
            raise RankZeroError(
                f'RankZeroModelCheckpoint(log_model={log_model!r}) is not known; write True, False or "all"'
            )
        super().__init__(filepath, *args, **kwargs)
        self.log_model = log_model
        self._last: Path | None = None
        listen()

    def saved(self, path: Path) -> None:
        """One of this fit's files has been saved there."""
        self._last = path
        if self.log_model == "all":
            self._keep(path)

    def on_train_end(self, logs: Any = None) -> None:
        """See `keras.callbacks.Callback`."""
        super().on_train_end(logs)
        if self.log_model is True and self._last is not None:
            self._keep(self._last)

    @guarded("keeping a checkpoint")
    def _keep(self, path: Path) -> None:
        run = current_run()
        if run is None:
            warn_once(
                "keras checkpoint", "no run to keep checkpoints with; add RankZeroCallback() or call rankzero.init()"
            )
        elif path.is_file():
            run.save(path, path.parent)
