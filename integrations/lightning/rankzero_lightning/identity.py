"""Which run a checkpoint comes from: a text in the checkpoint, found again without loading it."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from rankzero.plugin import Run

KEY = "rankzero"
"""Of a checkpoint's entry. Lightning passes over entries that it does not know."""

_MARK = "rankzero-run:"
_FOUND = re.compile(re.escape(_MARK.encode()) + rb"(\{[^{}]*\})")
_LARGEST = 1 << 28


def write(checkpoint: dict[str, Any], run: Run) -> None:
    """Name the run in a checkpoint that is about to be saved."""
    checkpoint[KEY] = _MARK + json.dumps({"run": run.id, "project": run.project})


def read(checkpoint: Any, project: str) -> str:
    """The id of the run of this project that a loaded checkpoint names, or an empty text."""
    text = checkpoint.get(KEY) if isinstance(checkpoint, dict) else None
    return _parse(text.encode(), project) if isinstance(text, str) else ""


def peek(path: Any, project: str) -> str:
    """The same for a checkpoint on disk, of which only the table of contents is read; empty if it cannot be found so."""
    place = Path(str(path))
    if place.is_dir():
        place /= "meta.pt"
    try:
        with zipfile.ZipFile(place) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith("data.pkl") and entry.file_size < _LARGEST:
                    return _parse(archive.read(entry), project)
    except (OSError, zipfile.BadZipFile):
        return ""
    return ""


def _parse(content: bytes, project: str) -> str:
    found = _FOUND.search(content)
    if found is None:
        return ""
    said = json.loads(found[1])
    return str(said["run"]) if said.get("project") == project else ""
