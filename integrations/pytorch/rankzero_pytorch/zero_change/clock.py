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
    """Adds up what this rank does from one step's end to the next; whoever sees something adds to it.

    Busy is the time outside the backward pass and outside waits for other ranks. All ranks leave a step together and meet
    again in the backward pass, where gradients are exchanged, or in a collective of the program's own, so whoever sleeps or
    computes longer anywhere between is late by exactly that, and only it is busy for so long: the others wait. Alone, a
    process waits for nobody and is always busy.

    Attributes:
        input: seconds spent waiting for a data loader.
        backward: seconds in backward passes.
        waited: seconds waiting for other ranks outside them.
        in_backward: a backward pass is under way.
        away: the phase other than training that we are in, empty if none.
    """

    __slots__ = ("_elsewhere", "_left", "_mark", "away", "backward", "in_backward", "input", "waited")

    def __init__(self) -> None:
        self.in_backward = False
        self.away = ""
        self.input = self.backward = self.waited = 0.0
        self._elsewhere = self._mark = self._left = 0.0

    @property
    def before_training(self) -> bool:
        """Neither a step nor a backward pass was seen yet."""
        return not (self._mark or self.backward)

    def forget(self) -> None:
        """Whatever came before does not count: the next step is the first."""
        self._mark = 0.0

    def take(self, *, alone: bool) -> Spent | None:
        """A step has just ended: what it took, evaluation and checkpoints left out; None for the first."""
        last, now = self._mark, perf_counter()
        spent = None
        if last:
            whole = now - last - self._elsewhere
            spent = Spent(whole, self.input, whole if alone else max(0.0, whole - self.backward - self.waited))
        self._mark = now
        self.input = self.backward = self.waited = self._elsewhere = 0.0
        return spent

    def leave(self, phase: str) -> None:
        """Something other than training begins."""
        self.away = phase
        self._left = perf_counter()

    def come_back(self) -> None:
        """Training goes on."""
        self.away = ""
        self._elsewhere += perf_counter() - self._left
