"""Which run a checkpoint belongs to: told in the metadata that Orbax keeps with each, for whoever goes on from it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rankzero.plugin import Run, guard, guarded, read_settings

KEY = "rankzero"
_FILE = "_CHECKPOINT_METADATA"
_PLACE = "custom_metadata"


class Identity:
    """Attributes: `restored`, the run whose checkpoint this process has read last; empty if it told none."""

    def __init__(self) -> None:
        self.restored = ""

    def put(self, save: Callable[..., Any], run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Put the run's id into the user's own metadata among the arguments for one of Orbax's `save`; false if it takes none."""
        with guard("naming the run in a checkpoint"):
            signature = inspect.signature(save)
            if _PLACE not in kwargs and (
                _PLACE not in signature.parameters or _PLACE in signature.bind_partial(*args, **kwargs).arguments
            ):
                return False
            kwargs[_PLACE] = {**(kwargs.get(_PLACE) or {}), KEY: {"run": run.id, "project": run.project}}
            return True
        return False

    @guarded("reading whose checkpoint it is")
    def read(self, folder: Any) -> None:
        """Take note of the run that wrote the checkpoint in a folder."""
        told, here = _told(folder), read_settings().project
        if told.get("run") and told.get("project", here) == here:
            self.restored = str(told["run"])


def run_of(folder: Any) -> str:
    """The id of the run that wrote a checkpoint, for `rankzero.init(id=...)`: the run goes on as its next attempt.

    Args:
        folder: of the checkpoint, or one of a `CheckpointManager`, which holds a folder for each step: then the newest counts.

    Returns:
        The id; empty if there is no checkpoint, or no run wrote it.
    """
    return str(_told(folder).get("run") or "")


def _told(folder: Any) -> dict[str, Any]:
    place = Path(folder) if isinstance(folder, str) else folder
    if not place.exists():
        return {}
    files = [place / _FILE, *(step / _FILE for step in place.iterdir())]
    found = [file for file in files if file.exists()]
    if not found:
        return {}
    newest = max(found, key=_written)
    told = (json.loads(newest.read_text()) or {}).get(_PLACE) or {}
    mine: dict[str, Any] = told.get(KEY) or {}
    return mine


def _written(file: Any) -> float:
    """When; Orbax's own paths and those of the standard library call it differently."""
    told = file.stat()
    return float(getattr(told, "mtime", None) or told.st_mtime)


identity = Identity()
"""Of this process."""
