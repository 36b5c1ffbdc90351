"""A training loop that never heard of rankzero, as it shows on the host: by what its compiled steps hand out."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import jax

from rankzero.plugin import Run, claim, guarded, report
from rankzero_jax.arriving import Arriving
from rankzero_jax.checkpoints import checkpoints
from rankzero_jax.compiles import compiles
from rankzero_jax.memory import Memory
from rankzero_jax.models import describe
from rankzero_jax.recording import Decoding, steps_of
from rankzero_jax.runs import NAME, Numbering, of_the_loop
from rankzero_jax.taps import Tap
from rankzero_jax.zero_change.optimizers import Optimizers

PRECEDENCE = 0
QUANTITIES = ("loss", "grad/norm", "optim/lr", "time/step")
CLAIMS = 16
"""Steps between two looks at who claims what."""

SELDOM = 50
"""Steps between two samples of gradients, if nothing else is said: of each parameter's, and on CPUs of their norm as well, for
there a reduction costs percents of a step. On accelerators the norm is measured at every step."""


class Loop:
    """Has a run from the first optimizer step on that it sees being traced.

    Attributes:
        spares: the next step's gradients are not to be measured.
        loss: the value last differentiated outside of compiled functions.
    """

    def __init__(self, optimizers: Optimizers) -> None:
        self.spares = False
        self.loss: Any = None
        self._optimizers = optimizers
        self._run: Run | None = None
        self._numbering: Numbering | None = None
        self._memory = Memory()
        self._steps = 0
        self._seldom = False
        self._ours: frozenset[str] = frozenset()
        self._mark = 0.0
        self._unreported = set(QUANTITIES)

    def met(self, run: Run, params: Any) -> None:
        """An optimizer step is being traced: make sure that the run knows what is trained."""
        if run is self._run:
            return
        self._run = run
        self._numbering = Numbering(run, first=1)
        self._steps, self._mark, self._ours = 0, 0.0, frozenset()
        self.spares = False
        self._seldom = run.settings.gradients != "norm" or jax.default_backend() == "cpu"
        if claim("model", NAME, PRECEDENCE):
            facts = describe(params, params)
            del facts["class"]
            run.config.update({"model": facts, **self._optimizers.config()}, source=NAME)
            report("model", "recorded", NAME)
        report("time/input", "off", NAME, "JAX has no data loader of its own to be seen waiting")

    @guarded("recording a training step")
    def arrived(self, taps: tuple[Tap, ...]) -> None:
        """A compiled function has handed these out."""
        for tap in taps:
            if tap.kind == "loss":
                self.loss = tap.numbers
        for tap in taps:
            if tap.kind == "step":
                self._stepped(tap)

    def _stepped(self, tap: Tap) -> None:
        run = of_the_loop()
        if run is None:
            return
        if run is not self._run or self._numbering is None:
            self._run, self._numbering, self._mark = run, Numbering(run, first=1), 0.0
        if self._steps % CLAIMS == 0 or not self._ours:
            self._ours = frozenset(quantity for quantity in QUANTITIES if claim(quantity, NAME, PRECEDENCE))
        length = steps_of(tap)
        step = self._numbering.take(tap.step, length)
        self._steps += length
        if self._seldom or run.settings.log_every:
            self.spares = self._steps % (run.settings.log_every or SELDOM) >= length
        loss, self.loss = self.loss, None
        decoding = _Ours(tap.names, self._ours)
        for index in range(length):
            arrays = {"": tap.numbers, **tap.values}
            if loss is not None and length == 1:
                arrays[_LOSS] = loss
            run.log({"step": Arriving(arrays, decoding.of(index))}, step=step + index)
        self._time(run, step + length - 1, length)
        if self._unreported:
            self._report({*tap.names, *({"loss"} if loss is not None else ())})

    def _time(self, run: Run, step: int, length: int) -> None:
        """Record this process's own row: where its time went."""
        now, row = perf_counter(), {}
        elsewhere, checkpoints.elsewhere = checkpoints.elsewhere, 0.0
        if self._mark and "time/step" in self._ours:
            row["time/step"] = max(0.0, now - self._mark - elsewhere) / length
            self._report({"time/step"})
        self._mark = now
        compiles.put(row)
        self._memory.put(row)
        if row:
            run.log(row, step=step, ranks="all")

    def _report(self, names: set[str]) -> None:
        for quantity in self._unreported & names & self._ours:
            self._unreported.discard(quantity)
            report(quantity, "recorded", NAME)


_LOSS = "loss"


class _Ours(Decoding):
    """From a step's arrays to its row, without what others record."""

    def __init__(self, names: tuple[str, ...], ours: frozenset[str], index: int = 0) -> None:
        super().__init__(names, index)
        self._theirs = frozenset(QUANTITIES) - ours

    def of(self, index: int) -> _Ours:
        """The same for another step of a loop."""
        return _Ours(self.names, frozenset(QUANTITIES) - self._theirs, index)

    def __call__(self, found: dict[str, Any]) -> dict[str, Any]:
        loss = found.pop(_LOSS, None)
        row = super().__call__(found)
        if loss is not None:
            row.setdefault(_LOSS, float(loss.reshape(-1)[0]))
        return {name: value for name, value in row.items() if name not in self._theirs}
