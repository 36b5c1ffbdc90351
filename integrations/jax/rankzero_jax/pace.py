"""How fast a loop goes, on this process: the time of its steps and the samples in it."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

from rankzero.plugin import Run, claim, feed, report

BY = "jax.jit"
PRECEDENCE = 5
"""Before what a bare array library shows, behind any framework's own loop."""


class Pace:
    """Marks at the ends of steps. What a process spends in checkpoints is no step's time."""

    def __init__(self) -> None:
        self._mark: tuple[float, float] | None = None

    def row(self, t: float, elsewhere: float, steps: int = 1, samples: float = 0) -> dict[str, float]:
        """What the time since the last mark says; nothing at the first.

        Args:
            t: now, in seconds.
            elsewhere: seconds spent in checkpoints so far.
            steps: that ended now, together.
            samples: of each of them; 0 if unknown.
        """
        last, self._mark = self._mark, (t, elsewhere)
        if last is None:
            return {}
        seconds = max(0.0, t - last[0] - (elsewhere - last[1])) / steps
        row = {"time/step": seconds}
        if samples and seconds:
            row["throughput/samples"] = samples / seconds
        return row


class Times:
    """The times of a function's calls on their way to a run: put down by the thread that trains, made into rows by the writer's.

    Args:
        run: it belongs to.
        behind: what stands behind the name of the series.

    Attributes:
        put: when a call ended (`time.monotonic()`), the number of its last step, how many there were, and the seconds that this
            process has spent in checkpoints so far.
        counts: another function does not tell instead.
    """

    def __init__(self, run: Run, behind: str) -> None:
        self.put: collections.deque[tuple[float, int, int, float]] = collections.deque()
        self.counts = True
        self._behind = behind
        self._pace = Pace()
        feed(run, self._rows)

    def _rows(self) -> Iterator[tuple[float, int, str, dict[str, Any]]]:
        ours = not self.put or claim("time/step", BY, PRECEDENCE)
        while self.put:
            t, step, steps, elsewhere = self.put.popleft()
            row = self._pace.row(t, elsewhere, steps)
            if row and ours:
                report("time/step", "recorded", BY)
                yield t, step, "all", {f"{name}{self._behind}": value for name, value in row.items()}


class Pacers:
    """Of several functions one tells how long a run's steps take: that of each training, or else the first."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._trainings: dict[str, Times] = {}
        self._other: Times | None = None

    def of(self, run: Run, training: str | None) -> Times | None:
        """The times of a function that is called the first time in a run; None if another tells already.

        Args:
            run: the run.
            training: what stands behind the keys of the training that it takes steps of; None if it takes none.
        """
        if run is not self._run:
            self._run, self._trainings, self._other = run, {}, None
        if training is None:
            if self._trainings or self._other is not None:
                return None
            self._other = Times(run, "")
            return self._other
        if self._other is not None:
            self._other.counts = False
        if training not in self._trainings:
            self._trainings[training] = Times(run, training)
        return self._trainings[training]


pacers = Pacers()
"""Of this process."""
