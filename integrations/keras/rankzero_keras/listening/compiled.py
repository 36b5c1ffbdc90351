"""Optimizer steps that a `tf.function` of the program's own compiles: met as it is traced, and seen from then on as it is called."""

from __future__ import annotations

import collections
import sys
import weakref
from collections.abc import Iterator
from time import monotonic
from types import FrameType
from typing import Any, Protocol

from rankzero.plugin import Run, claim, feed, guard, guarded, replace, report
from rankzero_keras.integration import NAME
from rankzero_keras.measuring.rates import Rates, inner
from rankzero_keras.training import PRECEDENCE

SELDOM = 8
"""Calls after which a learning rate that is a number is read again: that takes as long as reading the count."""

GRADIENTS = "the step is compiled: have it return their norm, and log that"


class Called(Protocol):
    """Told of an optimizer."""

    def __call__(self, optimizer: Any, *, begins: bool) -> None:
        """A function with its steps is called, or has returned."""


class Functions:
    """Those with steps of optimizers in them."""

    def __init__(self, called: Called) -> None:
        self._optimizers: weakref.WeakKeyDictionary[Any, weakref.WeakKeyDictionary[Any, None]]
        self._optimizers = weakref.WeakKeyDictionary()
        self._called = called

    def met(self, optimizer: Any) -> bool:
        """A step is being traced; false if that is not for a call of a `tf.function`."""
        import tensorflow as tf

        kind = type(tf.function(lambda: None))
        function = _under_way(kind)
        if function is None:
            return False
        replace(kind, "__call__", self._around)
        self._optimizers.setdefault(function, weakref.WeakKeyDictionary())[optimizer] = None
        return True

    def _around(self, original: Any) -> Any:
        tell = guarded("noticing a compiled step")(self._tell)

        def call(function: Any, *args: Any, **kwargs: Any) -> Any:
            if function not in self._optimizers:
                return original(function, *args, **kwargs)
            tell(function, begins=True)
            result = original(function, *args, **kwargs)
            tell(function, begins=False)
            return result

        return call

    def _tell(self, function: Any, *, begins: bool) -> None:
        import tensorflow as tf

        tell = self._called if tf.executing_eagerly() else self._met_within
        for optimizer in list(self._optimizers[function]):
            tell(optimizer, begins=begins)

    def _met_within(self, optimizer: Any, *, begins: bool) -> None:
        """A function with its steps is called while another one is traced."""
        if begins:
            self.met(optimizer)


def _under_way(kind: type) -> Any:
    """The outermost function of this kind that this thread is in; in a replica's thread, the one that any thread is in."""
    here = _outermost(sys._getframe(1), kind)  # noqa: SLF001 - documented for this
    if here is not None:
        return here
    found = {_outermost(frame, kind) for frame in sys._current_frames().values()} - {None}  # noqa: SLF001 - as above
    return found.pop() if len(found) == 1 else None


def _outermost(frame: FrameType | None, kind: type) -> Any:
    found = None
    while frame is not None:
        if frame.f_code.co_name == "__call__" and isinstance(function := frame.f_locals.get("self"), kind):
            found = function
        frame = frame.f_back
    return found


class Compiled:
    """One optimizer in compiled steps, counted by itself; the writer's thread waits for its count.

    Args:
        suffix: of its metrics.
    """

    def __init__(self, run: Run, optimizer: Any, suffix: str) -> None:
        self.run = run
        self.optimizer = weakref.proxy(optimizer)
        self.suffix = suffix
        self._rates = Rates(self)
        self._looks = 0
        self._down: collections.deque[tuple[float, Any, Any]] = collections.deque()
        self._last = (0.0, 0)
        self._rate: Any = None
        feed(run, self._rows)
        report("grad/norm", "off", NAME, GRADIENTS)

    def begin(self) -> None:
        """A function with its steps is called; the first such call was over before it could be seen."""
        if not self._looks:
            self.end()

    def end(self) -> None:
        """It has returned."""
        optimizer = inner(self.optimizer)
        count, rate = _held(optimizer.iterations), None
        if claim("optim/lr", NAME, PRECEDENCE):
            given = optimizer._learning_rate  # noqa: SLF001 - `learning_rate` evaluates a schedule
            if not hasattr(given, "assign"):
                rate = self._rates.of_step(count)
            elif self._looks % SELDOM == 0:
                rate = _held(given)
        self._looks += 1
        self._down.append((monotonic(), count, rate))

    def _rows(self) -> Iterator[tuple[float, int, str | None, dict[str, Any]]]:
        while self._down:
            t, counted, rate = self._down.popleft()
            with guard("recording a compiled step"):
                step, self._rate = int(counted), self._rate if rate is None else rate
                before, done = self._last
                if step > done:
                    self._last = t, step
                    if self._rate is not None:
                        report("optim/lr", "recorded", NAME)
                        yield t, step, None, {f"optim/lr{self.suffix}": float(self._rate)}
                        self._rate = None
                    if before and claim("time/step", NAME, PRECEDENCE):
                        report("time/step", "recorded", NAME)
                        yield t, step, "all", {f"time/step{self.suffix}": (t - before) / (step - done)}


def _held(variable: Any) -> Any:
    """What a variable of Keras holds now, to be waited for; of one that replicas have copies of, the first. Quicker than by its own methods."""
    import tensorflow as tf

    own = getattr(variable.value, "_primary", variable.value)
    return tf.raw_ops.ReadVariableOp(resource=own.handle, dtype=own.dtype)
