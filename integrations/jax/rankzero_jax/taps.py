"""Values on their way out of a traced function: as further outputs of the program where that is possible, else by a callback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
from jax import Array

from rankzero_jax.differentiated import Differentiated
from rankzero_jax.internals import axis_names, current_trace, keeps_effects

Deliver = Callable[["Tap"], None]


@jax.tree_util.register_pytree_node_class
@dataclass(slots=True)
class Tap:
    """What one place in a traced function has to say.

    Attributes:
        kind: who takes it on the host: "log", "capture", "step" or "loss".
        names: of `numbers`, one each.
        numbers: a vector; with an axis ahead for every loop or device axis it came through.
        values: further values by name, of any shape.
        step: the step they belong to, if the function knows.
        about: what else is known while tracing.
    """

    kind: str
    names: tuple[str, ...] = ()
    numbers: Any = None
    values: dict[str, Any] = field(default_factory=dict)
    step: Any = None
    about: tuple[Any, ...] = ()

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """See `jax.tree_util.register_pytree_node_class`."""
        return (self.numbers, self.values, self.step), (self.kind, self.names, self.about)

    @classmethod
    def tree_unflatten(cls, known: tuple[Any, ...], children: tuple[Any, ...]) -> Tap:
        """See `jax.tree_util.register_pytree_node_class`."""
        kind, names, about = known
        numbers, values, step = children
        return cls(kind, names, numbers, values, step, about)


class Collector:
    """Takes the taps of one function while it is being traced.

    Attributes:
        of: the function; of a loop's body that in which the loop is.
        trace: of the function; what comes from an inner one (a loop's body, a nested function) cannot be its output.
        taps: collected so far.
        differentiated: the values that were, so far.
    """

    def __init__(self, of: Any = None) -> None:
        self.of = of
        self.trace = current_trace()
        self.taps: list[Tap] = []
        self.differentiated = Differentiated()


class _Stack(threading.local):
    def __init__(self) -> None:
        self.collectors: list[Collector] = []


_stack = _Stack()


def collector() -> Collector | None:
    """Whoever collects what is computed right here; None if nobody can."""
    found = _stack.collectors[-1] if _stack.collectors else None
    return found if found is not None and found.trace is current_trace() else None


@contextmanager
def collecting(of: Any = None) -> Iterator[Collector]:
    """Collect the taps of what is traced inside: a function."""
    mine = Collector(of)
    _stack.collectors.append(mine)
    try:
        yield mine
    finally:
        _stack.collectors.pop()
        mine.trace = None


def call_back(tap: Tap, deliver: Deliver, *, ordered: bool = False) -> None:
    """Have the program call `deliver(tap)` on the host: once, however many devices it runs on and lanes of a vmap there are."""
    if ordered or not keeps_effects():
        _emit(tap, deliver, ordered=ordered)
        return

    @jax.custom_batching.custom_vmap
    def emit(tap: Tap) -> Array:
        _emit(tap, deliver)
        return jax.numpy.zeros(())

    @emit.def_vmap
    def emit_lanes(size: int, parted: Any, tap: Tap) -> tuple[Array, bool]:
        (parted,) = parted if isinstance(parted, list | tuple) else (parted,)
        if parted.step is True:
            lanes = jax.tree.map(lambda leaf, apart: leaf if apart else jax.numpy.stack([leaf] * size), tap, parted)
            call_back(lanes, lambda lanes: _each(lanes, size, deliver))
        else:
            here = collector()
            here.taps.append(tap) if here is not None and tap.step is None else call_back(tap, deliver)
        return jax.numpy.zeros(()), False

    emit(jax.lax.stop_gradient(tap))


def _each(lanes: Tap, size: int, deliver: Deliver) -> None:
    """Lanes that are steps of their own."""
    for lane in range(size):
        deliver(jax.tree.map(lambda leaf, lane=lane: leaf[lane], lanes))


def _emit(tap: Tap, deliver: Deliver, *, ordered: bool = False) -> None:

    def emit(tap: Tap) -> None:
        if ordered:
            from jax.experimental import io_callback

            io_callback(deliver, None, tap, ordered=True)
        else:
            jax.debug.callback(deliver, tap)

    axes = axis_names()
    if not axes:
        emit(tap)
        return
    first: Array | bool = True
    for axis in axes:
        first = first & (jax.lax.axis_index(axis) == 0)
    jax.lax.cond(first, emit, lambda _: None, tap)
