"""What a fit's batches showed: put down where they are trained on, and made into rows by the writer thread."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from rankzero.plugin import Run, feed, log_aside
from rankzero_pytorch.zero_change.clock import Spent
from rankzero_pytorch.zero_change.gaps import Busy

Row = tuple[float, int, str | None, dict[str, Any]]


class Shown(NamedTuple):
    """A batch that stepped.

    Attributes:
        t: `time.monotonic()` at its end.
        step: of the run.
        row: what is to be recorded for the job and is known already; None on a rank that does not record for it.
        counts: batches and epochs so far, and `trainer.global_step`.
        samples: of all ranks so far; 0 where they cannot be counted.
        rate: samples of all ranks in this step, where the rate is to be recorded.
        spent: where this rank's time went, where that is to be recorded.
        on_device: how long its accelerator was busy by itself, where there is one and several ranks.
    """

    t: float
    step: int
    row: dict[str, Any] | None
    counts: tuple[int, int, int]
    samples: int
    rate: int
    spent: Spent | None
    on_device: Busy | None


class Rows:
    """What has been put down and not yet been asked for: a source of `rankzero.plugin.feed`."""

    def __init__(self) -> None:
        self._waiting: deque[Shown] = deque()
        self.put = self._waiting.append

    def __call__(self) -> Iterator[Row]:
        """The rows of what is there now; called by the writer thread."""
        for _ in range(len(self._waiting)):
            yield from _rows(self._waiting.popleft())

    def log(self, run: Run, shown: Shown) -> None:
        """Log a batch at once: what lies on a device is to be copied in the order of what the device does."""
        for _, step, ranks, row in _rows(shown):
            log_aside(run, row, step, ranks)


def _rows(shown: Shown) -> Iterator[Row]:
    t, step, row, (batches, epoch, global_step), samples, rate, spent, on_device = shown
    if spent is not None:
        busy = spent.busy if on_device is None else on_device
        yield t, step, "all", {"time/step": spent.step, "time/input": spent.input, "time/busy": busy}
    if row is None:
        return
    if rate and spent is not None:
        row["throughput/samples"] = rate / spent.step
    row["progress/micro_step"] = batches
    row["progress/epoch"] = epoch
    row["trainer/global_step"] = global_step
    if samples:
        row["progress/samples"] = samples
    yield t, step, None, row


_known: weakref.WeakKeyDictionary[Run, Rows] = weakref.WeakKeyDictionary()


def rows_of(run: Run) -> Rows:
    """The rows of a run, for which it asks from now on."""
    rows = _known.get(run)
    if rows is None:
        rows = _known[run] = Rows()
        feed(run, rows)
    return rows
