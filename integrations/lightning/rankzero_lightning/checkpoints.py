"""The files of a `ModelCheckpoint`, kept with the run where the user asks for it."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

from rankzero.plugin import Run


def place(path: Any) -> str:
    """Where a checkpoint lies, as it can be found from any folder."""
    name = str(path)
    return name if "://" in name else str(Path(name).absolute())


def note_best(run: Run, callback: Any) -> None:
    """Put a checkpoint callback's best checkpoint, and its score where it has one, into the run's summary."""
    best, score = getattr(callback, "best_model_path", ""), getattr(callback, "best_model_score", None)
    if best:
        run.summary.update({"checkpoint/best": place(best)})
    if best and score is not None:
        run.summary.update({"checkpoint/best_score": float(score)})


class Checkpoints:
    """What `log_model` asks for: False for nothing, True for what is there at the end, "all" for each as it is saved."""

    def __init__(self, log_model: bool | str) -> None:
        self.log_model = log_model
        self._waiting: dict[int, Any] = {}
        self._kept: dict[str, Any] = {}

    def saved(self, run: Run, callback: Any) -> None:
        """A `ModelCheckpoint` has saved a checkpoint."""
        note_best(run, callback)
        if self.log_model == "all" or (self.log_model is True and getattr(callback, "save_top_k", None) == -1):
            self._keep(run, callback)
        elif self.log_model is True:
            self._waiting[id(callback)] = callback

    def finish(self, run: Run) -> None:
        """What was saved last is what is to be kept."""
        for callback in self._waiting.values():
            self._keep(run, callback)
        self._waiting.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {"log_model": self.log_model, "_waiting": {}, "_kept": dict(self._kept)}

    def _keep(self, run: Run, callback: Any) -> None:
        """Copy the callback's checkpoints into the run's files, those that changed since they were copied last."""
        paths = [getattr(callback, "last_model_path", ""), getattr(callback, "best_model_path", "")]
        for name in dict.fromkeys(str(path) for path in [*paths, *getattr(callback, "best_k_models", {})] if path):
            system, place = importlib.import_module("fsspec.core").url_to_fs(name)  # what Lightning itself saves with
            if not system.isfile(place) or self._kept.get(name) == system.ukey(place):
                continue
            self._kept[name] = system.ukey(place)
            if "://" not in name:
                run.save(name, Path(name).parent)
                continue
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder, Path(name).name)
                system.get_file(place, str(copy))
                run.save(copy, folder)
