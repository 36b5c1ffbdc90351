"""Which run a checkpoint comes from: an entry of a `.keras` file, an attribute of a `.weights.h5` file. Keras passes over both."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rankzero.plugin import Run

KEY = "rankzero.json"

TRIES = 10
TRY_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Origin:
    """A run, by its id and project, and how many steps had been done."""

    run: str
    project: str
    step: int


def sign(path: Any, run: Run, step: int) -> None:
    """Name the run in a checkpoint that has just been saved, where its format has a place for it."""
    place, text = Path(str(path)), json.dumps(asdict(Origin(run.id, run.project, step)))
    if not place.is_file():
        return
    if zipfile.is_zipfile(place):
        with zipfile.ZipFile(place, "a") as archive:
            archive.writestr(KEY, text)
    elif place.suffix == ".h5":
        with _opened(place, "a") as file:
            file.attrs[KEY] = text


def origin(path: Any) -> Origin | None:
    """The run that a checkpoint names."""
    place = Path(str(path))
    text: Any = None
    if not place.is_file():
        return None
    if zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            text = archive.read(KEY) if KEY in archive.namelist() else None
    elif place.suffix == ".h5":
        with _opened(place, "r") as file:
            text = file.attrs.get(KEY)
    return None if text is None else Origin(**json.loads(text))


def of_callbacks(callbacks: Iterable[Any]) -> Origin | None:
    """The run that the file names to which a `ModelCheckpoint` saves, if there is one already."""
    for callback in callbacks:
        path = getattr(callback, "filepath", None)
        latest = getattr(callback, "_get_most_recently_modified_file_matching_pattern", None)
        if path and callable(latest) and (found := origin(latest(str(path)) if "{" in str(path) else path)) is not None:
            return found
    return None


def _opened(place: Path, mode: str) -> Any:
    """The HDF5 file, open. A process that is just being started holds the file's lock for a moment, though the file is closed."""
    import h5py

    for _ in range(TRIES):
        try:
            return h5py.File(place, mode)
        except BlockingIOError:
            time.sleep(TRY_SECONDS)
    return h5py.File(place, mode)
