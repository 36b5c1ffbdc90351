"""Where a rank's time goes between two optimizer steps, told by the host's clock and without asking a device."""

from __future__ import annotations

from time import perf_counter
from typing import NamedTuple


class Spent(NamedTuple):
    """Seconds of one step: its whole length, what went into waiting for input, and what this rank was busy by itself."""

    step: float
    input: float
    busy: float


class Clock:
    """Adds up what this rank does from one step's end to the next.

    Busy is the time outside the backward pass and outside waits for other ranks. All ranks leave a step together and meet
    again in the backward pass, where gradients are exchanged, or in a collective of the program's own, so whoever sleeps or
    computes longer anywhere between is late by exactly that, and only it is busy for so long: the others wait. Alone, a
    process waits for nobody and is always busy.
    """

    def __init__(self) -> None:
        self.in_backward = False
        self.away = ""  # the phase other than training that we are in
        self._mark = 0.0
        self._input = self._backward = self._waited = self._elsewhere = 0.0
        self._left = 0.0

    def restart(self) -> None:
        """A step has just ended; count from here."""
        self._mark = perf_counter()
        self._input = self._backward = self._waited = self._elsewhere = 0.0

    def forget(self) -> None:
        """Whatever came before does not count: the next step is the first."""
        self._mark = 0.0

    def take(self, *, alone: bool) -> Spent | None:
        """A step has just ended: what it took, evaluation and checkpoints left out; None for the first."""
        last = self._mark
        spent = None
        if last:
            whole = max(0.0, perf_counter() - last - self._elsewhere)
            busy = whole if alone else max(0.0, whole - self._backward - self._waited)
            spent = Spent(whole, self._input, busy)
        self.restart()
        return spent

    def add_input(self, seconds: float) -> None:
        """The program waited for its data loader."""
        if not self.away:
            self._input += seconds

    def add_backward(self, seconds: float) -> None:
        """The program was in its backward pass."""
        self._backward += seconds

    def add_wait(self, seconds: float) -> None:
        """The program waited for other ranks."""
        if not self.away and not self.in_backward:
            self._waited += seconds

    def leave(self, phase: str) -> None:
        """Something other than training begins."""
        self.away = phase
        self._left = perf_counter()

    def come_back(self) -> float:
        """Training goes on; how many seconds that took."""
        self.away = ""
        seconds = perf_counter() - self._left
        self._elsewhere += seconds
        return seconds
