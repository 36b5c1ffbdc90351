"""What hooks put down for a run; its writer thread makes rows of it: see `rankzero.plugin.feed`."""

from __future__ import annotations

import collections
import weakref
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Any

from rankzero.plugin import Run, feed, guard

Row = tuple[str | None, dict[str, Any]]
"""Which ranks' it is, "all" or None, and its values."""


class Rows:
    """A source of rows: of one run, in the order in which they were put down.

    Attributes:
        put: takes `time.monotonic()`, a step, what makes rows, and what it makes them of.
    """

    def __init__(self, run: Run) -> None:
        self._down: collections.deque[tuple[Any, ...]] = collections.deque()
        self.put: Callable[[tuple[Any, ...]], None] = self._down.append
        feed(run, self._rows)

    def log(self, row: dict[str, Any], step: int, ranks: str | None = None) -> None:
        """Put down a row that is made already."""
        self.put((monotonic(), step, _made, ranks, row))

    def _rows(self) -> Iterator[tuple[float, int, str | None, dict[str, Any]]]:
        while self._down:
            t, step, make, *what = self._down.popleft()
            with guard("recording a batch"):
                for ranks, row in make(*what):
                    if row:
                        yield t, step, ranks, row


_of_runs: weakref.WeakKeyDictionary[Run, Rows] = weakref.WeakKeyDictionary()


def rows_of(run: Run) -> Rows:
    """The one source that a run has here."""
    found = _of_runs.get(run)
    if found is None:
        found = _of_runs[run] = Rows(run)
    return found


def _made(ranks: str | None, row: dict[str, Any]) -> Iterable[Row]:
    return ((ranks, row),)
