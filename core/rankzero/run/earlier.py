"""What the earlier attempts of a run left that this one goes on from."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from rankzero import records
from rankzero.store import RunFolder, parse_journal_name

_PIECE = 1 << 16
_GROWTH = 16
_MOST = 1 << 24
"""Bytes at the end of a journal in which a value is looked for."""


class Earlier(NamedTuple):
    """The last step of rank zero in the latest attempt that has one, None if none has; the run's name, empty if it has none."""

    step: int | None
    name: str


def earlier(folder: RunFolder, before: int) -> Earlier:
    """What rank zero's journals say of the attempts before this one; of each only its beginning and its end are read."""
    latest_first = _of_rank_zero(folder, before)
    step = next((step for path in latest_first if (step := last_step(path)) is not None), None)
    return Earlier(step, next((name for path in latest_first if (name := _name(path))), ""))


def values_at(folder: RunFolder, before: int, keys: Collection[str], step: int) -> dict[str, float]:
    """What rank zero last recorded of these metrics for the job, at this step or before, in the attempts before this one."""
    return next((found for path in _of_rank_zero(folder, before) if (found := _values(path, keys, step))), {})


def _of_rank_zero(folder: RunFolder, before: int) -> list[Path]:
    """Its journals of the attempts before this one, the latest first."""
    found = [(path, parse_journal_name(path.name) or (before, "")) for path in folder.journals()]
    return [path for path, (attempt, writer) in reversed(found) if attempt < before and writer == "r0"]


def _values(path: Path, keys: Collection[str], step: int) -> dict[str, float]:
    size, whole = _PIECE, step < 0
    named = [line for line in head(path, _PIECE).split(b"\n") if line.startswith(b'{"kind":"columns"')]
    found: dict[str, float] = {}
    while not found and not whole and size <= _MOST:
        whole = size >= path.stat().st_size
        found = _values_among([*named, *tail(path, size).split(b"\n")[0 if whole else 1 :]], keys, step)
        size *= _GROWTH
    return found


def _values_among(lines: list[bytes], keys: Collection[str], step: int) -> dict[str, float]:
    """Of the last row, up to the given step, that has any of them."""
    columns: dict[int, list[str]] = {}
    best, found = -1, dict[str, float]()
    for line in lines:
        entry = records.decode_line(line) if line[:1] in {b"[", b"{"} else None
        if isinstance(entry, records.Columns) and not entry.local and not set(keys).isdisjoint(entry.keys):
            columns[entry.id] = entry.keys
        elif isinstance(entry, list) and entry and entry[0] in columns and best <= entry[1] <= step:
            best = entry[1]
            found = {key: value for key, value in zip(columns[entry[0]], entry[3:], strict=False) if key in keys}
    return found


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
