"""Which run a checkpoint comes from: a text in the checkpoint, found again without loading it."""

from __future__ import annotations

import importlib
import json
import re
import zipfile
from pathlib import Path
from typing import IO, Any

from rankzero.plugin import Run

KEY = "rankzero"
"""Of a checkpoint's entry. Lightning passes over entries that it does not know."""

_MARK = "rankzero-run:"
_FOUND = re.compile(re.escape(_MARK.encode()) + rb"(\{[^{}]*\})")
_LARGEST, _BEGINNING = 1 << 28, 1 << 24


def write(checkpoint: dict[str, Any], run: Run) -> None:
    """Name the run in a checkpoint that is about to be saved."""
    checkpoint[KEY] = _MARK + json.dumps({"run": run.id, "project": run.project})


def read(checkpoint: Any, project: str) -> str:
    """The id of the run of this project that a loaded checkpoint names, or an empty text."""
    text = checkpoint.get(KEY) if isinstance(checkpoint, dict) else None
    return _parse(text.encode(), project) if isinstance(text, str) else ""


def peek(path: Any, project: str) -> str:
    """The same for a checkpoint that is not loaded yet, wherever it lies; empty if it cannot be found so.

    Only the table of contents is read, and of a checkpoint older than PyTorch 1.6 its beginning.
    """
    name = str(path)
    try:
        with _open(name) as file:
            return _parse(_contents(file), project)
    except (OSError, ValueError, ImportError):  # a place that cannot be read here; Lightning says it better
        return ""


def _open(name: str) -> IO[bytes]:
    if "://" not in name:
        place = Path(name)
        return (place / "meta.pt" if place.is_dir() else place).open("rb")
    found: IO[bytes] = importlib.import_module("fsspec").open(name, "rb").open()  # what Lightning itself uses
    return found


def _contents(file: IO[bytes]) -> bytes:
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith("data.pkl") and entry.file_size < _LARGEST:
                    return archive.read(entry)
    except zipfile.BadZipFile:
        file.seek(0)
        return file.read(_BEGINNING)
    return b""


def _parse(content: bytes, project: str) -> str:
    found = _FOUND.search(content)
    if found is None:
        return ""
    said = json.loads(found[1])
    return str(said["run"]) if said.get("project") == project else ""
