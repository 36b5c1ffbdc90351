"""Loops of a program's own that call `optimizer.apply`, below `rankzero run`: what can be seen of them at the optimizer."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeVar

import keras

from rankzero.plugin import Run, claim, current_run, guarded, replace, report, started_by_run, training_run, warn_once
from rankzero_keras import describing
from rankzero_keras.integration import NAME
from rankzero_keras.listening.compiled import Compiled, Functions
from rankzero_keras.measuring import taps
from rankzero_keras.measuring.applied import suffix as suffix_of
from rankzero_keras.measuring.programs import Programs
from rankzero_keras.measuring.rates import Rates, inner
from rankzero_keras.measuring.wanted import wanted
from rankzero_keras.recording import Recording
from rankzero_keras.rows import rows_of
from rankzero_keras.training import PRECEDENCE, trainings

COMPILED = "the optimizer step is compiled: log from the loop, or give a CallbackList a RankZeroCallback"

FOR_JAX = "rankzero_jax.zero_change.keras_steps"
"""Loaded where the integration for JAX listens to `stateless_apply`, and not where JAX is too old for it."""

Kind = TypeVar("Kind", "Loop", Compiled)


class Loops:
    """Listens to optimizers: their `apply` is a step where it is executed as it is called; on TensorFlow functions are as well that trace it.

    Args:
        busy: whether a model is at work: then its own steps are recorded, and where a CallbackList tells of a loop, here only measured.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._depth = 0
        self._functions = Functions(self._called)
        self._known: weakref.WeakKeyDictionary[Any, Loop | Compiled] = weakref.WeakKeyDictionary()
        self._jitted: weakref.WeakKeyDictionary[Any, Run] = weakref.WeakKeyDictionary()

    def install(self) -> None:
        """Listen, once however often it is asked for; outside of what measures gradients."""
        taps.install()
        for owner in (*keras.optimizers.Optimizer.__mro__, keras.optimizers.LossScaleOptimizer):
            if "apply" in owner.__dict__:
                replace(owner, "apply", self.around)
            if "stateless_apply" in owner.__dict__ and keras.backend.backend() == "jax" and FOR_JAX in sys.modules:
                replace(owner, "stateless_apply", self._around_stateless)

    def _around_stateless(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For an optimizer's `stateless_apply`, to which the integration for JAX listens: only its run is seen to here."""
        begin = guarded("noticing an optimizer step")(self._meet_jitted)

        def stateless_apply(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._busy() and not self._depth:
                begin(optimizer)
            self._depth += 1
            try:
                return original(optimizer, *args, **kwargs)
            finally:
                self._depth -= 1

        return stateless_apply

    def _meet_jitted(self, optimizer: Any) -> None:
        """Its step is about to be traced, or taken where nothing is compiled."""
        described = self._jitted.get(optimizer)
        run = self._run() if described is None or described.state != "running" else None
        if run is not None:
            self._jitted[optimizer] = run
            Recording.last = weakref.ref(optimizer)
            _describe(run, optimizer, suffix_of(list(self._jitted.values()).count(run)))

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For an optimizer's `apply`."""
        begin, end = (
            guarded("noticing an optimizer step")(self._begin),
            guarded("recording an optimizer step")(Loop.end),
        )

        def apply(optimizer: Any, grads: Any, *args: Any, **kwargs: Any) -> Any:
            if self._depth:
                return original(optimizer, grads, *args, **kwargs)
            grads = list(grads)
            loop = None if self._busy() else begin(optimizer, grads)
            programs = _of_told(optimizer, grads) if loop is None else loop.programs
            self._depth += 1
            try:
                step = original if programs is None else programs.measured(original)
                result = step(optimizer, grads, *args, **kwargs)
            finally:
                self._depth -= 1
            if loop is not None:
                end(loop)
            return result

        return apply

    def _begin(self, optimizer: Any, grads: list[Any]) -> Loop | None:
        if _traced(grads):
            self._meet_compiled(optimizer)
            return None
        loop = self._loop(optimizer, Loop)
        if loop is not None:
            loop.begin()
        return loop

    def _meet_compiled(self, optimizer: Any) -> None:
        """A step is being traced."""
        if keras.backend.backend() == "tensorflow" and self._functions.met(optimizer):
            return
        report("custom loop", "seen", NAME, COMPILED)
        if current_run() is None:  # there may never be one whose report tells of it
            warn_once("keras custom loop", f"steps of this loop are not recorded: {COMPILED}")

    def _called(self, optimizer: Any, *, begins: bool) -> None:
        """A compiled function with steps of this optimizer is called, or has returned."""
        loop = None if self._busy() else self._loop(optimizer, Compiled)
        if loop is None:
            return
        if begins:
            loop.begin()
        else:
            loop.end()

    def _loop(self, optimizer: Any, kind: type[Kind]) -> Kind | None:
        """The loop that an optimizer is in, begun if need be; None where nothing is recorded."""
        loop = self._known.get(optimizer)
        if isinstance(loop, kind) and loop.run.state == "running":
            return loop
        run = self._run()
        if run is None:
            return None
        others = sum(other.run is run for other in self._known.values())
        suffix = loop.suffix if loop is not None and loop.run is run else suffix_of(others + 1)
        _describe(run, optimizer, suffix)
        made = self._known[optimizer] = kind(run, optimizer, suffix)
        Recording.last = weakref.ref(made)
        return made

    @staticmethod
    def _run() -> Run | None:
        """The run that a loop is recorded to: not that of a model's fit."""
        before = None if Recording.last is None else Recording.last()
        run = training_run(NAME, fresh=isinstance(before, Recording)) if started_by_run() else None
        return None if run is None or run.disabled else run


class Loop:
    """One optimizer of a program's own loop; a step is a call of `apply`.

    Args:
        suffix: of its metrics.
    """

    def __init__(self, run: Run, optimizer: Any, suffix: str) -> None:
        self.run = run
        self.suffix = suffix
        self.optimizer = weakref.proxy(optimizer)
        self.programs = Programs(self, wanted(None, run.settings.log_every or None))
        counted = getattr(inner(optimizer), "_iterations", None)
        self._first = self._step = 0 if counted is None else int(keras.ops.convert_to_numpy(counted))
        self._rates = Rates(self)
        self._rows = rows_of(run)
        self._mark = 0.0

    def begin(self) -> None:
        """`apply` is called."""
        self.programs.look(self._step + 1)

    def end(self) -> None:
        """It has returned."""
        self._step += 1
        row = self.programs.done(self.suffix) or {}
        if claim("optim/lr", NAME, PRECEDENCE):
            rate = self._rates.of_step(self._step)
            if rate is not None:
                row[f"optim/lr{self.suffix}"] = rate
                report("optim/lr", "recorded", NAME)
        if row:
            self._rows.log(row, self._step)
        now = perf_counter()
        if self._mark and claim("time/step", NAME, PRECEDENCE):
            self._rows.log({f"time/step{self.suffix}": now - self._mark}, self._step, "all")
            report("time/step", "recorded", NAME)
        self._mark = now


def _describe(run: Run, optimizer: Any, suffix: str) -> None:
    if run.rank == 0:
        run.config.update({f"optimizer{suffix}": describing.optimizer_facts(optimizer)}, source=NAME)
        run.config.update({"versions": describing.versions(), "devices": describing.devices()}, source=NAME)


def _of_told(optimizer: Any, grads: list[Any]) -> Programs | None:
    """What measures this step, of a loop that a CallbackList tells of; None where there is none, or the step is compiled."""
    if not trainings or _traced(grads):
        return None
    found = (training.of_loop for training in trainings.values())
    return next((programs for programs in found if programs is not None and programs.steps(optimizer)), None)


def _traced(grads: list[Any]) -> bool:
    """Whether an optimizer step is being compiled, and has no numbers yet."""
    backend = keras.backend.backend()
    if backend == "jax":
        core = sys.modules["jax"].core
        return any(isinstance(gradient, core.Tracer) for gradient in grads)
    if backend == "tensorflow":
        return bool(sys.modules["tensorflow"].inside_function())
    return bool(sys.modules["torch"].compiler.is_compiling())
