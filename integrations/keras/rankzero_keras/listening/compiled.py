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

SELDOM = 0.1
"""Seconds between two looks at an optimizer's variables."""

Row = tuple[float, int, str | None, dict[str, Any]]

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
            try:
                return original(function, *args, **kwargs)
            finally:
                tell(function, begins=False)

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
    """One optimizer in compiled steps, counted by itself.

    Looking at its variables takes operations of the backend, so the thread that trains does that a few times a second, and puts
    down when each call ended. The writer's thread waits for the count, and looks itself where no call has come since.

    Args:
        suffix: of its metrics.
    """

    def __init__(self, run: Run, optimizer: Any, suffix: str) -> None:
        self.run = run
        self.optimizer = weakref.proxy(optimizer)
        self.suffix = suffix
        self._iterations = inner(optimizer).iterations
        self._rates = Rates(self)
        self._looked = 0.0
        self._calling = False
        self._down: collections.deque[tuple[float, Any, Any]] = collections.deque()
        self._ends: list[float] = []
        self._last = (0.0, 0)
        feed(run, self._rows)
        report("grad/norm", "off", NAME, GRADIENTS)

    def begin(self) -> None:
        """A function with its steps is called; the first such call was over before it could be seen."""
        if not self._looked:
            self.end()
        self._calling = True

    def end(self) -> None:
        """It has returned."""
        self._calling = False
        now = monotonic()
        count = rate = None
        if now - self._looked >= SELDOM:
            self._looked = now
            count = _held(self._iterations)
            rate = self._rate(count) if claim("optim/lr", NAME, PRECEDENCE) else None
        self._down.append((now, count, rate))

    def _rate(self, count: Any) -> Any:
        given = inner(self.optimizer)._learning_rate  # noqa: SLF001 - `learning_rate` evaluates a schedule
        return _held(given) if hasattr(given, "assign") else self._rates.of_step(count)

    def _rows(self) -> Iterator[Row]:
        with guard("counting compiled steps"):
            while self._down:
                t, count, rate = self._down.popleft()
                self._ends.append(t)
                if count is not None:
                    yield from self._counted(count, rate)
            if self._ends and not self._calling:
                count = _held(self._iterations)
                if not self._calling and not self._down:
                    yield from self._counted(count, None)

    def _counted(self, count: Any, rate: Any) -> Iterator[Row]:
        """The rows of the calls since the optimizer was looked at last."""
        ends, self._ends = self._ends, []
        (before, done), step = self._last, int(count)
        each, rest = divmod(step - done, len(ends))
        if step == done:
            return
        self._last = ends[-1], step
        if step < done:  # an older checkpoint was loaded
            return
        if rate is not None:
            report("optim/lr", "recorded", NAME)
            yield ends[-1], step, None, {f"optim/lr{self.suffix}": float(rate)}
        if not before or not claim("time/step", NAME, PRECEDENCE):
            return
        report("time/step", "recorded", NAME)
        numbers = [step] if rest else range(done + each, step + 1, each)
        for number, t in zip(numbers, ends[-len(numbers) :], strict=True):
            yield t, number, "all", {f"time/step{self.suffix}": (t - before) / (number - done)}
            before, done = t, number


def _held(variable: Any) -> Any:
    """What a variable of Keras holds now, to be waited for; of one that replicas have copies of, the first. Quicker than by its own methods."""
    import tensorflow as tf

    own = getattr(variable.value, "_primary", variable.value)
    return tf.raw_ops.ReadVariableOp(resource=own.handle, dtype=own.dtype)
