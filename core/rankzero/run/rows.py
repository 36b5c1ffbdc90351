"""Queued rows to lines: steps are numbered, columns declared, and values that are not plain numbers sorted out."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rankzero import records
from rankzero.errors import guard, warn_once
from rankzero.run.door import Door
from rankzero.run.loading import forks_wait
from rankzero.run.values.mixed import Mixed, Waiting

PENDING_LIMIT = 256
"""Rows that may wait for a device at most; past it the oldest is read even if that waits."""

LARGEST_STEP = 2**62

FOR_THE_JOB = (records.Meta, records.Config, records.Summary, records.Define)
"""Records that only rank zero writes."""

ASIDE: Any = "aside"
"""As a row's `commit`: rows without a step are numbered as if this one were not there."""

Pin = Callable[[records.Record], None]


class RowWriter:
    """Numbers steps and encodes rows, in the order in which they were queued."""

    def __init__(self, started: float, door: Door) -> None:
        self.door = door
        self.next_step = 0
        self.last_step: int | None = None
        self.pending: collections.deque[Waiting] = collections.deque()
        self.media: Callable[[records.Media, bytes], None] | None = None
        self.zero_only = False  # this process is not rank zero: rows and records for the job are not written
        self._started = started
        self._columns: tuple[dict[tuple[Any, ...], int], ...] = ({}, {}, {}, {})  # by `_kind`
        self._latest: dict[int, list[Any]] = {}
        self._keys: dict[int, tuple[str, ...]] = {}

    def latest(self) -> dict[str, Any]:
        """The last value of every metric that this process wrote for the job."""
        values: dict[str, Any] = {}
        for aside in (True, False):
            found: dict[str, tuple[int, Any]] = {}
            for column in self._columns[_kind(local=False, aside=aside)].values():
                row = self._latest[column]
                for key, value in zip(self._keys[column], row[3:], strict=True):
                    if key not in found or found[key][0] <= row[2]:
                        found[key] = (row[2], value)
            values |= {key: value for key, (_, value) in found.items()}
        return values

    def encode(self, chunks: Iterable[list[Any]], pin: Pin) -> Iterator[bytes]:
        """The lines of queued rows and records, a chunk at a time; `pin` declares columns ahead of the rows using them."""
        for chunk in chunks:
            yield self._chunk(chunk, pin)
        if self.pending:
            yield self._arrived(pin)

    def give_up_waiting(self) -> None:
        """At the end of the run: keep of the rows that still wait for a device what is there."""
        for waiting in self.pending:
            self.door.inside(waiting.give_up, None)

    def _chunk(self, chunk: list[Any], pin: Pin) -> bytes:
        rows: list[list[Any]] = []
        lines: list[bytes] = []
        started, columns, latest, zero_only = self._started, self._columns, self._latest, self.zero_only
        for item in chunk:
            if type(item) is not tuple:
                lines.append(records.encode_rows(rows))
                rows = []
                lines.append(self._record(item, pin))
                continue
            t, step, commit, ranks, row = item
            local = ranks is not None and _of_all(ranks)
            step = self._number(step, commit)
            if zero_only and not local:
                continue
            micros = int((t - started) * 1e6)
            if type(row) is not dict:
                self.pending.append(Waiting(micros, step, row, local=local, aside=commit is ASIDE))
                continue
            kind = local if commit is not ASIDE else local + 2
            column = columns[kind].get(tuple(row))
            if column is None:
                column = self._declare(row, kind, pin)
            latest[column] = line = [column, step, micros, *row.values()]
            rows.append(line)
        lines.append(records.encode_rows(rows))
        return b"".join(lines)

    def _record(self, record: records.Record, pin: Pin) -> bytes:
        """The line of a record; nothing where it was pinned or is not this rank's to write."""
        with guard("writing a record"):
            if not isinstance(record, FOR_THE_JOB):
                return records.encode(record)
            if not self.zero_only:
                pin(record)
        return b""

    def _number(self, step: Any, commit: bool | None) -> int:
        """The step of a row: the given one, else the next; `commit=False` leaves the next row on the same step."""
        if commit is None and type(step) is int and self.next_step <= step < LARGEST_STEP:
            self.next_step = self.last_step = step
            return step
        if step is None:
            number = self.next_step
            if commit is not False:
                self.next_step += 1
        else:
            number = step if type(step) is int else _whole(step, self.next_step)
            if not -LARGEST_STEP < number < LARGEST_STEP:
                number = self.next_step
                warn_once("step", f"step={step!r} is beyond 2**62; the next step was used instead")
            if commit is not ASIDE:
                self.next_step = max(self.next_step, number + 1 if commit else number)
        self.last_step = number
        return number

    def _declare(self, row: dict[Any, Any], kind: int, pin: Pin) -> int:
        """Name the columns of rows with these keys; an empty row keeps its step and time."""
        keys = tuple(row)
        names = tuple(key if isinstance(key, str) else str(key) for key in keys)
        column = len(self._keys)
        self._columns[kind][keys] = column
        self._keys[column] = names
        pin(records.Columns(id=column, keys=list(names), local=bool(kind & 1), aside=bool(kind & 2)))
        return column

    def _arrived(self, pin: Pin) -> bytes:
        """The lines of rows whose values have arrived, oldest first."""
        lines: list[bytes] = []
        while self.pending:
            if not self.door.inside(self._may_be_read, otherwise=False):
                break
            waiting = self.pending.popleft()
            with guard("reading a logged value"):
                lines.extend(self.door.inside(lambda: list(self._mixed(waiting, pin)), []))  # noqa: B023 - called here
        return b"".join(lines)

    def _may_be_read(self) -> bool:
        return len(self.pending) > PENDING_LIMIT or self.pending[0].ready()

    def _mixed(self, waiting: Waiting, pin: Pin) -> Iterator[bytes]:
        with forks_wait():
            from rankzero.run.values.sorting import sort_out

        row: Mixed = waiting.row
        numbers, others = sort_out(row, t=waiting.t, step=waiting.step, local=waiting.local)
        if numbers:
            kind = _kind(local=waiting.local, aside=waiting.aside)
            column = self._columns[kind].get(tuple(numbers))
            if column is None:
                column = self._declare(numbers, kind, pin)
            line = [column, waiting.step, waiting.t, *numbers.values()]
            self._latest[column] = line
            yield records.encode_rows([line])
        for record, content in others:
            if content is not None and self.media is not None and isinstance(record, records.Media):
                self.media(record, content)
            yield records.encode(record)


def _kind(*, local: bool, aside: bool) -> int:
    """Of a row's columns: each rank's own or not, by an integration or by the program."""
    return local + 2 * aside


def _of_all(ranks: Any) -> bool:
    if ranks != "all":
        warn_once("ranks", f'ranks={ranks!r} is not known; write ranks="all" or leave it out')
    return bool(ranks == "all")


def _whole(step: Any, fallback: int) -> int:
    try:
        number = int(step)
    except (TypeError, ValueError, ArithmeticError, RuntimeError):
        warn_once("step", f"step={step!r} is not a whole number; the next step was used instead")
        return fallback
    if number != step:
        warn_once("step", f"step={step!r} is not a whole number; {number} was used instead")
    return number
