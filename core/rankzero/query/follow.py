"""Watching a run as it is written: what its processes print, log and report, in order of arrival."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankzero.journal.reader import Batch, JournalReader
from rankzero.query.strictjson import iso
from rankzero.records import Columns, Event, Start
from rankzero.records.codec import NONFINITE
from rankzero.store import RunFolder, parse_journal_name

_STEM = re.compile(r"^(\d+)-r(\d+)")


@dataclass(slots=True)
class _Source:
    """One journal being watched."""

    reader: JournalReader
    attempt: int
    rank: int
    wall: float = 0.0


class Follower:
    """Reads on in all journals and console files of a run, those that appear later too."""

    def __init__(self, folder: RunFolder, *, rank: int | None = None) -> None:
        self.folder = folder
        self._rank = rank
        self._sources: dict[Path, _Source] = {}
        self._consoles: dict[Path, int] = {}

    def poll(self, most: int | None = None) -> list[dict[str, Any]]:
        """What is new since the last call as JSON objects: rows and events by time, then console lines.

        Args:
            most: of each journal and each console only so many, the latest.
        """
        entries = [entry for source in self._watched() for entry in self._journal(source, most)]
        entries.sort(key=lambda pair: pair[0])
        chosen = [entry for _, entry in entries]
        return (chosen if most is None else chosen[-most:]) + list(self._printed(most))

    def _watched(self) -> list[_Source]:
        for path in self.folder.journals():
            named = _STEM.match(path.name)
            if path not in self._sources and named and parse_journal_name(path.name) and self._wanted(int(named[2])):
                self._sources[path] = _Source(JournalReader(path), int(named[1]), int(named[2]))
        return list(self._sources.values())

    def _wanted(self, rank: int) -> bool:
        return self._rank is None or rank == self._rank

    def _journal(self, source: _Source, most: int | None) -> deque[tuple[float, dict[str, Any]]]:
        found: deque[tuple[float, dict[str, Any]]] = deque(maxlen=most)
        try:
            for batch in source.reader.read():
                for record in batch.records:
                    if isinstance(record, Start):
                        source.wall = record.wall
                found.extend(sorted(_entries(batch, source, most), key=lambda pair: pair[0]))
        except OSError:
            return found
        return found

    def _printed(self, most: int | None) -> Iterator[dict[str, Any]]:
        for path in sorted(self.folder.console.glob("*.log")):
            named = _STEM.match(path.name)
            if named is None or not self._wanted(int(named[2])):
                continue
            try:
                with path.open("rb") as file:
                    file.seek(self._consoles.get(path, 0))
                    data = file.read()
            except OSError:
                continue
            whole = data[: data.rfind(b"\n") + 1]
            self._consoles[path] = self._consoles.get(path, 0) + len(whole)
            for line in deque(whole.splitlines(), maxlen=most):
                text = line.decode("utf-8", "replace")
                yield {"kind": "console", "attempt": int(named[1]), "rank": int(named[2]), "text": text}


def _entries(batch: Batch, source: _Source, most: int | None) -> Iterator[tuple[float, dict[str, Any]]]:
    """Rows and events of a batch with their times; only the last `most` rows of each kind of row."""
    common = {"attempt": source.attempt, "rank": source.rank}
    for columns, rows in batch.rows:
        for row in rows if most is None else rows[-most:] if most else ():
            time = source.wall + row[2] / 1e6
            scope = "local" if columns.local else "global"
            yield (
                time,
                {
                    "kind": "row",
                    **common,
                    "step": row[1],
                    "time": time,
                    "scope": scope,
                    "values": _values(columns, row),
                },
            )
    for record in batch.records:
        if isinstance(record, Event):
            time = source.wall + record.t / 1e6
            event = {"event": record.event, "message": record.message, "data": record.data}
            yield time, {"kind": "event", **common, "time": iso(time), **event}


def _values(columns: Columns, row: list[Any]) -> dict[str, Any]:
    return {
        key: value if not isinstance(value, str) or value in NONFINITE else "NaN"
        for key, value in zip(columns.keys, row[3:], strict=True)
    }
