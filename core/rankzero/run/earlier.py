"""What the earlier attempts of a run left that this one goes on from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from rankzero import records
from rankzero.store import RunFolder, parse_journal_name

_PIECE = 1 << 16
_GROWTH = 16


class Earlier(NamedTuple):
    """The last step of rank zero in the latest attempt that has one, None if none has; the run's name, empty if it has none."""

    step: int | None
    name: str


def earlier(folder: RunFolder, before: int) -> Earlier:
    """What rank zero's journals say of the attempts before this one; of each only its beginning and its end are read."""
    found = [(path, parse_journal_name(path.name) or (before, "")) for path in folder.journals()]
    latest_first = [path for path, (attempt, writer) in reversed(found) if attempt < before and writer == "r0"]
    step = next((step for path in latest_first if (step := last_step(path)) is not None), None)
    return Earlier(step, next((name for path in latest_first if (name := _name(path))), ""))


def last_step(path: Path) -> int | None:
    """The highest step among the last lines of a journal; None if it has none at all."""
    size = _PIECE
    while True:
        lines = tail(path, size).split(b"\n")
        whole = size >= path.stat().st_size
        steps = [step for line in lines[0 if whole else 1 :] if (step := _step(line)) is not None]
        if steps or whole:
            return max(steps, default=None)
        size *= _GROWTH


def head(path: Path, size: int = 4096) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(size)


def tail(path: Path, size: int = 4096) -> bytes:
    """The last bytes of a file."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - size))
        return file.read()


def _name(path: Path) -> str:
    found = (records.decode_line(line) for line in head(path).split(b"\n") if line.startswith(b'{"kind":"meta"'))
    names = [meta.name for meta in found if isinstance(meta, records.Meta) and meta.name]
    return names[-1] if names else ""


def _step(line: bytes) -> int | None:
    """The step of a row or a beat."""
    entry = records.decode_line(line) if line.startswith(b"[") else None
    if not isinstance(entry, list) or len(entry) < 3:  # noqa: PLR2004 - an id, a step and a time
        return None
    step = entry[-1] if entry[0] == "h" else entry[1]
    return step if type(step) is int else None
