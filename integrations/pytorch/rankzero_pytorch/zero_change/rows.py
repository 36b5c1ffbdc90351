"""The steps of one run's loop on their way to the journal: put down by the thread that trains, made into rows by the writer's."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

from rankzero.plugin import Run, feed, guard, recorded_before, report
from rankzero_pytorch.numbering import Numbering
from rankzero_pytorch.zero_change.clock import Spent
from rankzero_pytorch.zero_change.optimizers import Rates, Tracked

NAME = "pytorch"
REPORTED = ("loss", "optim/lr", "time/step", "time/input", "throughput/samples")
COUNTED = ("progress/micro_step", "progress/samples")
MOST_WAITING = 10_000
"""Steps put down; past it the thread that trains has them written."""

OfRank = tuple[Spent, Any, int]
"""Where this rank's time went since the last step, how long it was busy and how many samples it trained on."""

OfJob = tuple[Tracked, Any, Rates, dict[str, Any] | None, tuple[int, int] | None]
"""An optimizer, its loss, its learning rates, what a scaler does; micro-steps and samples, if this is the step's first optimizer."""

Put = tuple[float, int, int | None, OfRank | None, OfJob | None]
"""When (`time.monotonic()`), this process's how manyth step, its number where that is known, and what it showed."""


class Rows:
    """A source of rows, see `rankzero.plugin.feed`.

    Attributes:
        put: what steps showed.
    """

    def __init__(self, run: Run, numbering: Numbering) -> None:
        self.put: collections.deque[Put] = collections.deque()
        self._run = run
        self._numbering = numbering
        self._unreported = set(REPORTED)
        self._begun: int | None = None
        self._behind: tuple[int, int] | None = None
        feed(run, self._rows)

    def relieve(self) -> None:
        """Have rows written if too many wait; in a process that was forked since nobody will."""
        if len(self.put) > MOST_WAITING:
            if self._run.state == "running":
                self._run.flush()
            else:
                self.put.clear()

    def log(self, count: int, of_job: OfJob) -> None:
        """Log what holds values on a device by this thread, which knows the order of the device's work."""
        self._begun = count if self._begun is None else self._begun
        known = not self._numbering.undecided
        row = _row_of_job(*of_job, self._before(count, self._numbering.step(count)) if known else None)
        self._numbering.log(self._reported(row), count)

    def _rows(self) -> Iterator[tuple[float, int, str | None, dict[str, Any]]]:
        while self.put and not self._numbering.undecided:
            t, count, number, of_rank, of_job = self.put.popleft()
            self._begun = count if self._begun is None else self._begun
            with guard("recording a training step"):
                step = self._numbering.step(count) if number is None else number
                if of_rank is not None:
                    yield t, step, "all", self._reported(_row_of_rank(*of_rank))
                if of_job is not None:
                    yield t, step, None, self._reported(_row_of_job(*of_job, self._before(count, step)))

    def _before(self, count: int, step: int) -> tuple[int, int]:
        """Micro-steps and samples that earlier attempts of the run had when this one began, at this process's `count`-th step."""
        if self._behind is None:
            first = step - (count - (count if self._begun is None else self._begun))
            found = recorded_before(self._run, COUNTED, first - 1)
            micro_steps, samples = (int(found.get(name, 0)) for name in COUNTED)
            self._behind = micro_steps, samples
        return self._behind

    def _reported(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row, of which the capture report has been told."""
        if self._unreported:
            for quantity in sorted(self._unreported & row.keys()):
                self._unreported.remove(quantity)
                report(quantity, "recorded", NAME)
        return row


def _row_of_rank(spent: Spent, busy: Any, samples: int) -> dict[str, Any]:
    row = {"time/step": spent.step, "time/input": spent.input, "time/busy": busy}
    if samples:
        row["throughput/samples"] = samples / spent.step
    return row


def _row_of_job(
    tracked: Tracked,
    loss: Any,
    rates: Rates,
    scaling: dict[str, Any] | None,
    progress: tuple[int, int] | None,
    before: tuple[int, int] | None,
) -> dict[str, Any]:
    """The row; without progress where it is not known what went `before`."""
    row: dict[str, Any] = {}
    if loss is not None:
        row[tracked.loss] = loss
    tracked.put(row, rates)
    if scaling:
        row.update(scaling)
    if progress is not None and before is not None:
        row["progress/micro_step"] = progress[0] + before[0]
        if progress[1]:
            row["progress/samples"] = progress[1] + before[1]
    return row
