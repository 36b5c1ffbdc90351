"""Evaluation and checkpoints in a fit or beside it: accounted for as such, and timed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from time import perf_counter

from rankzero.plugin import Run, claim, report
from rankzero_pytorch.zero_change.clock import Clock
from rankzero_pytorch.zero_change.gaps import Gaps

NAME = "lightning"
PRECEDENCE = 20
SHORT = {"evaluation": "eval", "checkpoint": "checkpoint"}


class Phases:
    """The phase other than training that this process is in, if any: the outermost counts."""

    def __init__(self, run: Run, clock: Clock, gaps: Gaps) -> None:
        self._run = run
        self._clock = clock
        self._gaps = gaps
        self._open: AbstractContextManager[None] | None = None
        self._began = 0.0

    def begin(self, phase: str) -> bool:
        """Training is interrupted; false if it is already."""
        if self._open is not None or self._run.state != "running":
            return False
        self._open = self._run.phase(phase)
        self._open.__enter__()
        self._began = perf_counter()
        self._clock.leave(phase)
        self._gaps.interrupt()
        return True

    def end(self, step: int) -> None:
        """Training goes on, if it was interrupted, after this step."""
        opened, self._open = self._open, None
        if opened is None:
            return
        quantity = f"time/{SHORT[self._clock.away]}"
        seconds = perf_counter() - self._began
        self._clock.come_back()
        opened.__exit__(None, None, None)
        if claim(quantity, NAME, PRECEDENCE):
            self._run.log({quantity: seconds}, step=step, ranks="all")
            report(quantity, "recorded", NAME)
