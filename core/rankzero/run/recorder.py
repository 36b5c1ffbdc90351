"""From the user's threads to the journal: a queue that takes rows in a microsecond and a thread that writes them."""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from rankzero import records
from rankzero.errors import guard, warn_once
from rankzero.journal import Journal
from rankzero.run.chore import Chore
from rankzero.run.door import Door
from rankzero.run.exits import exits
from rankzero.run.rows import ASIDE, RowWriter
from rankzero.run.threads import Background
from rankzero.run.values.mixed import PLAIN, mixed

Row = tuple[float, int | None, bool | None, str | None, dict[Any, Any]]
"""What `log` queues: monotonic time, step, commit, ranks, values."""

Source = Callable[[], Iterable[tuple[float, int, str | None, dict[Any, Any]]]]
"""What the writer thread asks for rows that nobody has logged: monotonic time, step, ranks, values."""

CHUNK = 512
"""Rows encoded at once: bounds how long the writer holds the interpreter."""

LOCK_SECONDS = 1.0
"""Longest that one thread waits for another to write, before it looks for signals."""

WRITE_RESERVE = 0.4
"""Seconds of the finish timeout kept for writing when a chore takes long."""

BACKSTOP = 4096
"""Rows that `log` writes itself when the queue is full."""


class Opener(Protocol):
    """Opens the journal when this process knows who it is."""

    def __call__(self, *, force: bool) -> Journal | None:
        """The journal, or None while the process does not know its rank yet; `force`: decide with what is known."""


class Recorder:
    """One run's queue, its writer thread and its journal in this process."""

    def __init__(
        self, opener: Opener, *, started: float, flush_interval: float, beat_interval: float, queue_limit: int
    ) -> None:
        self.queue: collections.deque[Row | records.Record] = collections.deque()
        self.journal: Journal | None = None
        self.started = started
        self.chores: list[Chore] = []
        self.sources: list[Source] = []
        self._opener = opener
        self._flush_interval = flush_interval
        self._beat_interval = beat_interval
        self._queue_limit = queue_limit
        self._door = Door()
        self._rows = RowWriter(started, self._door)
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._stop = False
        self._closed = False
        self._end: Callable[[], records.End] | None = None
        self._deadline = 0.0
        self._next_beat = 0.0
        self._outages = 0
        self._lost = 0
        self._thread: Background | None = None

    @property
    def rows(self) -> RowWriter:
        """The encoder of rows: the next step and the last values are known to it."""
        return self._rows

    def start(self) -> None:
        """Start the writer thread. Where the system has none left, `log` and `finish` write by themselves."""
        self._thread = Background("rankzero-writer", self._work)
        try:
            self._thread.start()
        except RuntimeError as error:
            warn_once(
                "thread", f"no thread could be started ({error}); what is logged is written at the end of the run"
            )

    def wake(self) -> None:
        """Ask the writer to look at the queue now."""
        self._wake.set()

    def put(self, record: records.Record) -> None:
        """Queue a record behind the rows logged so far."""
        self.queue.append(record)

    def add(self, record: records.Record) -> None:
        """Write a record of this process's own now, whatever its rank; nothing once the journal is closed."""
        with self._lock:
            if self.journal is not None and not self._closed:
                self.journal.pin(record) if isinstance(record, records.Meta) else self.journal.add(record)

    def micros(self) -> int:
        """Microseconds since the journal's start, now."""
        return int((time.monotonic() - self.started) * 1e6)

    def relieve(self) -> None:
        """Called by `log` when the queue is past its limit: write some of it here; nothing is dropped."""
        with guard("writing the journal"), self._held():
            if len(self.queue) > self._queue_limit and self.open(force=True):
                self._drain(min(BACKSTOP, len(self.queue)))

    def open(self, *, force: bool) -> bool:
        """Make sure that the journal is open; false while this process does not know its rank or is silent."""
        with self._held():
            if self.journal is None and not self._closed:
                self.journal = self._opener(force=force)
            return self.journal is not None and not self._closed

    def flush(self, *, force: bool = False) -> None:
        """Write everything queued so far."""
        with self._held():
            if self.open(force=force):
                self._ask()
                self._drain(len(self.queue))

    def latest(self) -> dict[str, Any]:
        """Write everything queued so far; the last value of every metric of the job."""
        with self._held():
            self.flush(force=True)
            return self._rows.latest()

    def next_step(self) -> int:
        """Write everything queued so far; the step of the next row without one."""
        with self._held():
            self.flush(force=True)
            return self._rows.next_step

    def finish(self, end: Callable[[], records.End], deadline: float) -> None:
        """Write everything and the end; returns by `deadline` (monotonic) at the latest, whatever the disk or a device does.

        The writer thread does it. A second call waits for the first.
        """
        if self._end is None:
            self._end, self._deadline = end, deadline
        self._stop = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread.is_alive() and thread.ident != threading.get_ident():
            thread.join(max(0.0, deadline - time.monotonic()))
        else:
            self._finish()

    def become_nobody(self) -> None:
        """In a forked child: forget everything, hold nothing, write nothing."""
        self.queue = collections.deque()
        self._lock = threading.RLock()
        self._door = self._rows.door = Door()
        self._wake = threading.Event()
        self._thread = None
        self._stop = True
        self.journal = None
        self.chores, self.sources = [], []
        self._closed = True

    def _work(self) -> None:
        while not self._stop:
            self._wake.wait(self._flush_interval)
            self._wake.clear()
            if self._may_rest():
                continue
            opened = False
            with guard("writing the journal"):
                opened = self._turn()
            if opened:
                for chore in self.chores:
                    chore.run_if_due(time.monotonic())
        self._finish()

    def _may_rest(self) -> bool:
        """Whether a turn would find nothing to do: the thread costs little while little is logged."""
        if (
            self.queue
            or self.sources
            or self.rows.pending
            or self.journal is None
            or self.journal.trouble
            or self._stop
        ):
            return False
        now = time.monotonic()
        return now < self._next_beat and all(now < chore.due for chore in self.chores)

    def _turn(self) -> bool:
        """Write what is queued; whether there is a journal, for which there may be chores."""
        if not self._lock.acquire(timeout=LOCK_SECONDS):
            return self.journal is not None
        try:
            if self.journal is None:
                self._ask()  # it may be opened because there is a row
            opened = not self._stop and (self.journal is not None or self.open(force=False)) and not self._closed
            if opened:
                self._write()
            return opened
        finally:
            self._lock.release()

    def _write(self) -> None:
        self._ask()
        self._drain(len(self.queue))
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + self._beat_interval
            self._beat()
        self._watch_journal()

    def _finish(self) -> None:
        """The last turn: everything queued, the chores that want one more, what a device still owes, the end."""
        end, deadline = self._end, self._deadline
        if end is None or self._closed or not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return
        try:
            with guard("closing the journal"):
                self.flush(force=True)
        finally:
            self._lock.release()
        with guard("closing the journal"):
            if self.journal is not None:
                self._last_chores(deadline - WRITE_RESERVE)
                with self._lock:
                    self._close(end, deadline - WRITE_RESERVE / 2)

    def _last_chores(self, deadline: float) -> None:
        for chore in self.chores:
            if chore.last or not chore.due:
                chore.due = 0.0
                chore.run_if_due(time.monotonic())
        for chore in self.chores:
            chore.wait(deadline)

    def _close(self, end: Callable[[], records.End], deadline: float) -> None:
        """Write what is left, by the deadline where it depends on a device."""
        if self.journal is not None and not self._closed:
            self._ask()
            self._drain(len(self.queue))
            while self._rows.pending and time.monotonic() < deadline:
                time.sleep(0.005)
                self._drain(0)
            self._rows.give_up_waiting()
            self._drain(0)
            self._beat()
            self.journal.flush(now=True)
            self._watch_journal()
            self.journal.add(end())
            self.journal.close()
        self._closed = True

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the lock in a thread of the user's; a fatal signal that arrives meanwhile ends the process right after."""
        exits.hold()
        while not self._lock.acquire(timeout=LOCK_SECONDS):
            exits.release()
            exits.hold()
        try:
            yield
        finally:
            self._lock.release()
            exits.release()

    def _ask(self) -> None:
        """Queue what the sources have."""
        for source in self.sources:
            with guard("asking for rows"):
                for t, step, ranks, row in self._door.each(source):
                    kept = row if PLAIN.issuperset(map(type, row.values())) else mixed(row)
                    if kept is not None:
                        self.queue.append((t, step, ASIDE, ranks, kept))

    def _drain(self, count: int) -> None:
        journal = self.journal
        if journal is None:
            return
        for lines in self._rows.encode(_taken(self.queue, count), journal.pin):
            journal.write(lines)
        if not count:
            journal.flush()

    def _beat(self) -> None:
        if self.journal is not None:
            self.journal.write(
                records.encode(["h", self.micros(), round(time.process_time(), 3), self._rows.last_step])
            )

    def _watch_journal(self) -> None:
        """Say in the journal itself, once it can be written again, that it could not be."""
        journal = self.journal
        if (
            journal is None
            or (journal.outages == self._outages and journal.lost_batches == self._lost)
            or journal.trouble
        ):
            return
        self._outages, self._lost = journal.outages, journal.lost_batches
        message = "the journal could not be written for a while"
        journal.add(
            records.Event(t=self.micros(), event="incomplete", message=message, data={"lost": journal.lost_batches})
        )


def _taken(queue: collections.deque[Row | records.Record], count: int) -> Iterator[list[Row | records.Record]]:
    """Up to `count` items of the queue in chunks; what other threads append meanwhile stays."""
    taken = 0
    while taken < count:
        chunk = [queue.popleft() for _ in range(min(CHUNK, count - taken))]
        taken += len(chunk)
        yield chunk
