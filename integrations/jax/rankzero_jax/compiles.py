"""What JAX compiles, how long it takes and what it compiles again."""

from __future__ import annotations

import threading
from collections import Counter
from time import monotonic
from typing import Any

import jax

from rankzero.plugin import guarded, report
from rankzero_jax.runs import NAME

_TRACE = "/jax/core/compile/jaxpr_trace_duration"
_LOWER = "/jax/core/compile/jaxpr_to_mlir_module_duration"
_COMPILE = "/jax/core/compile/backend_compile_duration"


class Compiles:
    """Listens to `jax.monitoring`; what happened before there is a run is recorded with its first row.

    Attributes:
        seconds: in which this process was tracing, lowering or compiling so far; what is compiled while another function is
            traced counts once.
        programs: compiled so far.
        again: of them, those whose function had been compiled before for other shapes or another program.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.programs = 0
        self.again = 0
        self._names: Counter[str] = Counter()
        self._spans: list[tuple[float, float]] = []
        self._recorded = 0
        self._lock = threading.Lock()
        self._listening = False

    def listen(self) -> None:
        """Begin, once."""
        if not self._listening:
            self._listening = True
            jax.monitoring.register_event_duration_secs_listener(self._heard)

    @guarded("counting compilations")
    def _heard(self, event: str, duration_secs: float, **about: Any) -> None:
        if event not in {_TRACE, _LOWER, _COMPILE}:
            return
        now = monotonic()
        with self._lock:
            self.seconds += self._new(now - duration_secs, now)
            if event == _COMPILE:
                name = str(about.get("fun_name", ""))
                self.programs += 1
                self.again += bool(self._names[name])
                self._names[name] += 1

    def _new(self, start: float, end: float) -> float:
        """Seconds of a span that ends now of which none has told yet: the spans told so far lie before it or inside."""
        seconds = end - start
        while self._spans and self._spans[-1][0] >= start:
            inner, its_end = self._spans.pop()
            seconds -= its_end - inner
        if self._spans and self._spans[-1][1] > start:
            seconds -= self._spans[-1][1] - start
            start = self._spans[-1][1]
        self._spans.append((start, end))
        return seconds

    def due(self) -> bool:
        """Whether there is anything that `row` has not told."""
        return self._recorded != self.programs

    def row(self) -> tuple[float, dict[str, Any]]:
        """For this process's own series, and when (`time.monotonic()`) the last program was there."""
        with self._lock:
            self._recorded = self.programs
            row = {"time/compile": self.seconds, "compile/programs": self.programs, "compile/again": self.again}
            at = self._spans[-1][1]
        report("time/compile", "recorded", NAME)
        return at, row


compiles = Compiles()
"""Of this process."""
