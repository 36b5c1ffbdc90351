"""A training loop that never heard of rankzero, as it shows on the host: by what its compiled steps hand out."""

from __future__ import annotations

import itertools
from operator import itemgetter
from time import monotonic
from typing import Any

import jax

from rankzero.plugin import Run, claim, current_run, guarded, report
from rankzero_jax.checkpoints import checkpoints
from rankzero_jax.models import describe
from rankzero_jax.outputs import Outputs, forms, steps_of, unpacked
from rankzero_jax.runs import NAME, Numbering, begins_anew, of_the_loop, steps_before, suffix
from rankzero_jax.zero_change.optimizers import Optimizers
from rankzero_jax.zero_change.steps import QUANTITIES, Put, Steps

PRECEDENCE = 0
CLAIMS = 16
"""Steps between two looks at who claims what."""

SELDOM = 50
"""Steps between two samples of each parameter's gradient, if nothing else is said."""

ON_CPU = 200
"""The same on CPUs, of their norm as well. There a sample takes nearly as long as a step; on accelerators the norm is measured at every one."""


class Loop:
    """Has a run from the first optimizer step on that it sees being traced.

    Attributes:
        every: steps between two samples of gradients; 0: they are wanted at every step.
    """

    def __init__(self, optimizers: Optimizers) -> None:
        self.every = 0
        self._optimizers = optimizers
        self._known: Run | None = None
        self._trainings: list[int] = []
        self._run: Run | None = None
        self._steps: Steps | None = None
        self._early: dict[int, list[Put]] = {}
        self._done = 0
        self._first = 1
        self._look = 0

    def met(self, run: Run, params: Any, training: int) -> None:
        """An optimizer step is being traced: make sure that the run knows what is trained."""
        if run is not self._known:
            self._known, self._trainings = run, []
        if training in self._trainings:
            return
        self._trainings.append(training)
        if claim("model", NAME, PRECEDENCE):
            facts = describe(params, params)
            del facts["class"]
            run.config.update({f"model{suffix(len(self._trainings))}": facts, **self._optimizers.config()}, source=NAME)
            report("model", "recorded", NAME)
        report("time/input", "off", NAME, "JAX has no data loader of its own to be seen waiting")

    def step(self) -> int | None:
        """The number of the step last taken; None before the first."""
        return None if self._steps is None else self._first + self._done - 1

    @guarded("recording a training step")
    def arrived(self, outputs: Outputs, *, spared: bool = False) -> None:
        """A compiled function has handed these out; they are put down, and that is all that is done in the thread that trains.

        Args:
            outputs: of the program.
            spared: samples that are among them are not wanted.
        """
        now = monotonic()
        for number, arrays in outputs.items():
            length = forms[number].steps
            if length and (self._done >= self._look or current_run() is not self._run):
                self._look_around(number, arrays)
            self._done += length
            put = (now, number, arrays, checkpoints.elsewhere, spared)
            if self._steps is not None:
                self._steps.put.append(put)
            elif not length:  # of a function that differentiates, before there is a run; two stand for many
                self._early[number] = [*self._early.get(number, ())[-1:], put]

    def _look_around(self, number: int, arrays: list[Any]) -> None:
        """See whose the loop is: every few steps, and where a run begins."""
        self._look = self._done + CLAIMS
        run = of_the_loop()
        if run is None:
            self._run = self._steps = None
            return
        if run is not self._run:
            (training, length, _), *_ = forms[number].trainings
            counting = next((tap for tap in unpacked(number, arrays) if tap.step is not None), None)
            counted, length = (None, length) if counting is None else (counting.step, steps_of(counting))
            if counted is not None and not steps_before(counted, length):
                begins_anew(run)
            self._run, self._done, self._look = run, 0, CLAIMS
            self._first = Numbering(run, first=1).take(counted, length)
            self._steps = Steps(run, {training: self._first})
            self._steps.put.extend(sorted(itertools.chain(*self._early.values()), key=itemgetter(0)))
            self._early = {}
            usual = ON_CPU if jax.default_backend() == "cpu" else SELDOM if run.settings.gradients != "norm" else 0
            self.every = run.settings.log_every or usual
        if self._steps is not None:
            self._steps.ours = frozenset(name for name in QUANTITIES if claim(name, NAME, PRECEDENCE))
