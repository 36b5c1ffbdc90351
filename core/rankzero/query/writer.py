"""All that one writer left: its journal, read."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rankzero.journal.reader import Beat, JournalReader, read_records, time_of
from rankzero.query.table import Table
from rankzero.records import End, Record, Start
from rankzero.store import RunFolder, parse_journal_name

R = TypeVar("R")
_RANK = re.compile(r"^r(\d+)(-.*)?$")


@dataclass(slots=True)
class Writer:
    """One process's journal of one attempt.

    `latest` is the latest time any line carries, in microseconds since `start`. Without `whole` only the records were read:
    no tables, no beats. `second` marks a process that claimed a rank which another one had already.
    """

    path: Path
    name: str
    start: Start
    records: list[Record] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    beats: list[Beat] = field(default_factory=list)
    latest: int = 0
    whole: bool = True
    second: bool = False

    @property
    def folder(self) -> RunFolder:
        """Where its run lies."""
        run = self.path.parent.parent
        return RunFolder(run.parent.parent, run.parent.name, run.name)

    @property
    def rank(self) -> int:
        """The global rank that wrote; -1 for `rankzero run` itself."""
        return self.start.rank

    @property
    def end(self) -> End | None:
        """The journal's End record, or None if the process could not say anything."""
        return next((record for record in reversed(self.records) if isinstance(record, End)), None)

    @property
    def last(self) -> int:
        """When this writer ended: its End's time, else its last line's, in microseconds."""
        end = self.end
        return self.latest if end is None else end.t

    def wall(self, micros: int) -> float:
        """A time of this journal in seconds since the epoch."""
        return self.start.wall + micros / 1e6

    def of(self, kind: type[R]) -> list[R]:
        """The records of one kind, in order."""
        return [record for record in self.records if isinstance(record, kind)]


def read_writer(path: Path, *, whole: bool = True) -> Writer | None:
    """Read one journal, or only its records if not `whole`; None if it cannot be read or is no journal."""
    named = parse_journal_name(path.name)
    if named is None:
        return None
    attempt, name = named
    writer = Writer(path, name, Start(run="", project="", attempt=attempt, wall=0.0), whole=whole)
    try:
        if whole:
            _fill(writer)
        else:
            writer.records, writer.latest = read_records(path)
        writer.start = next(iter(writer.of(Start)), None) or _guessed_start(writer, attempt)
    except OSError:
        return None
    match = _RANK.match(name)
    writer.second = match is not None and match[2] is not None
    return writer


def _fill(writer: Writer) -> None:
    """Read everything."""
    tables: dict[tuple[tuple[str, ...], bool, bool], Table] = {}
    for batch in JournalReader(writer.path).read():
        writer.records.extend(batch.records)
        writer.beats.extend(batch.beats)
        for columns, rows in batch.rows:
            identity = (tuple(columns.keys), columns.local, columns.aside)
            table = tables.get(identity)
            if table is None:
                table = tables[identity] = Table(*identity)
            table.extend(rows)
    writer.tables = list(tables.values())
    writer.latest = max(
        max((time_of(record) for record in writer.records), default=0),
        max((beat[0] for beat in writer.beats), default=0),
        max((max(table.times) for table in writer.tables if len(table)), default=0),
    )


def _guessed_start(writer: Writer, attempt: int) -> Start:
    """The start of a journal whose first line is lost or not written yet: rank by its name, time by its file."""
    match = _RANK.match(writer.name)
    touched = writer.path.stat().st_mtime
    wall = min(touched, time.time()) - writer.latest / 1e6
    folder = writer.folder
    return Start(run=folder.run, project=folder.project, attempt=attempt, rank=int(match[1]) if match else 0, wall=wall)
