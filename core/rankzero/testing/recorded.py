"""What a run recorded, straight from its journals, to assert on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rankzero.records import (
    Capture,
    Columns,
    Config,
    End,
    Event,
    Histogram,
    Phase,
    Record,
    Start,
    Summary,
    Text,
    decode_line,
)
from rankzero.store import parse_journal_name

Row = tuple[Columns, int, list[Any]]


class Recorded:
    """Everything in the journals of a run: series by key and rank, and the other records in order.

    Args:
        folder: the run's folder.
        attempt: only this one, counted from 1; all if 0.

    Attributes:
        series: `series[key][rank]` is the list of `(step, value)` as logged: nothing is merged, sorted or superseded, and a value
            that arrived late, from a device, stands where it was logged. Where the program logged a metric itself, what an
            integration recorded under that name in that attempt is left out.
        local: the keys that are each rank's own; the others stand for the job.
        starts: the first record of every journal: its rank, attempt, launcher.
        records: all other records but rows, in order of attempt and rank.
        writers: `(rank, record)` of the same, to know who wrote it.
    """

    def __init__(self, folder: Path, *, attempt: int = 0) -> None:
        self.folder = folder
        self.series: dict[str, dict[int, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
        self.local: set[str] = set()
        self.starts: list[Start] = []
        self.writers: list[tuple[int, Record]] = []
        journals: dict[int, list[Path]] = defaultdict(list)
        for path in sorted((folder / "journal").glob("*.jsonl")):
            if (parsed := parse_journal_name(path.name)) is not None and attempt in {0, parsed[0]}:
                journals[parsed[0]].append(path)
        for paths in journals.values():
            self._read_attempt(paths)

    def _read_attempt(self, paths: list[Path]) -> None:
        points: list[Row] = []
        for path in paths:
            points.extend(sorted(self._read(path), key=_when))
        itself = {key for column, *_ in points for key in column.keys if not (column.aside or column.local)}
        for column, rank, (step, _, *values) in points:
            for key, value in zip(column.keys, values, strict=True):
                if column.local or not column.aside or key not in itself:
                    self.series[key][rank].append((step, value))
                if column.local:
                    self.local.add(key)

    def _read(self, path: Path) -> Iterator[Row]:
        """The rows of a journal: their columns and rank, and step, time and values; the other records go to where they belong."""
        columns: dict[int, Columns] = {}
        rank = 0
        for line in path.read_bytes().splitlines():
            found = decode_line(line)
            if isinstance(found, Start):
                self.starts.append(found)
                rank = found.rank
            elif isinstance(found, Columns):
                columns[found.id] = found
            elif isinstance(found, list) and found[0] != "h":
                yield columns[found[0]], rank, found[1:]
            elif found is not None and not isinstance(found, list):
                self.writers.append((rank, found))

    @property
    def records(self) -> list[Record]:
        """All records but rows and the first of each journal."""
        return [record for _, record in self.writers]

    @property
    def id(self) -> str:
        """The run's id."""
        return self.folder.name

    @property
    def project(self) -> str:
        """The project the run belongs to."""
        return self.folder.parent.name

    @property
    def attempts(self) -> list[Recorded]:
        """Each attempt by itself, the first one first."""
        return [Recorded(self.folder, attempt=number) for number in sorted({start.attempt for start in self.starts})]

    @property
    def ranks(self) -> list[int]:
        """The ranks that wrote anything, in order."""
        return sorted({start.rank for start in self.starts})

    @property
    def state(self) -> str:
        """How rank zero's last attempt ended, by its own last word; empty where it had none."""
        ends = [record.state for rank, record in self.writers if rank == 0 and isinstance(record, End)]
        return ends[-1] if ends else ""

    def values(self, key: str, rank: int = 0) -> list[float]:
        """The values of a metric, in order."""
        return [value for _, value in self.series[key][rank]] if key in self.series else []

    def steps(self, key: str, rank: int = 0) -> list[int]:
        """The steps of a metric, in order."""
        return [step for step, _ in self.series[key][rank]] if key in self.series else []

    @property
    def config(self) -> dict[str, Any]:
        """The config as merged."""
        merged: dict[str, Any] = {}
        for record in self.records:
            if isinstance(record, Config):
                merged.update(record.values)
        return merged

    @property
    def summary(self) -> dict[str, Any]:
        """The single values that were set, as merged; not what is computed from the series."""
        merged: dict[str, Any] = {}
        for record in self.records:
            if isinstance(record, Summary):
                merged.update(record.values)
        return merged

    def events(self, name: str) -> list[Event]:
        """Events of a name."""
        return [record for record in self.records if isinstance(record, Event) and record.event == name]

    def histograms(self, key: str) -> list[Histogram]:
        """Histograms of a key."""
        return [record for record in self.records if isinstance(record, Histogram) and record.key == key]

    def texts(self, key: str) -> list[str]:
        """Texts of a key."""
        return [record.value for record in self.records if isinstance(record, Text) and record.key == key]

    def phases(self) -> list[str]:
        """The phases that began, in order."""
        return [record.phase for record in self.records if isinstance(record, Phase)]

    def captured(self, outcome: str) -> set[str]:
        """What the capture report says was recorded, seen or off."""
        return {record.what for record in self.records if isinstance(record, Capture) and record.outcome == outcome}


def _when(row: Row) -> int:
    return int(row[2][1])


def folders(root: Path) -> list[Path]:
    """The folders of all runs under a root."""
    return sorted(path.parent for path in root.glob("*/*/journal"))


def only(root: Path) -> Recorded:
    """What the one run under a root recorded.

    Raises:
        AssertionError: there is none, or more than one.
    """
    found = folders(root)
    if len(found) != 1:
        raise AssertionError(f"expected one run under {root}, found {len(found)}: {[folder.name for folder in found]}")
    return Recorded(found[0])
