"""At which optimizer steps to take a sample."""

from __future__ import annotations

from time import perf_counter

SHARE = 0.0015
"""What sampling may cost the training thread, unless the user says how often; with the writer's part it stays below 0.5 %."""

RAREST = 1 << 16

READING_SPEED = 5e11
"""Bytes per second an accelerator is taken to read at: its share of a sample's cost, which the host cannot see."""


class Schedule:
    """Says which steps are due, counted from 1: the first and every n-th after it, or as many as cost no more than `SHARE`.

    A chosen distance is a power of two and its multiples are due, so that ranks that choose differently still have the rarer
    one's steps in common: where every rank holds a part of a number, that is where it can be added up. The first two steps
    are due then as well: the first for short runs, the second because the cost of the first says nothing.
    """

    def __init__(self, every: int | None) -> None:
        self.every = every or None
        self.distance = every or 1
        self._last: tuple[int, float] | None = None

    def due(self, step: int) -> bool:
        """Whether to sample at this step."""
        if self.every is not None:
            return (step - 1) % self.every == 0
        return step <= 2 or not step % self.distance  # noqa: PLR2004 - the first two

    def next(self, step: int) -> int:
        """The first step after this one that is due."""
        if self.every is not None:
            return step + self.every - (step - 1) % self.every
        return step + 1 if step < 2 else step + self.distance - step % self.distance  # noqa: PLR2004 - the first two

    def spent(self, seconds: float, step: int) -> None:
        """A sample was taken at `step`, and cost this much."""
        now = perf_counter()
        last, self._last = self._last, (step, now)
        if self.every is not None or last is None or step <= last[0]:
            return
        typical = max((now - last[1] - seconds) / (step - last[0]), 1e-6)
        wanted = seconds / (SHARE * typical)
        self.distance = min(RAREST, 1 << max(0, int(wanted - 1e-9)).bit_length())
