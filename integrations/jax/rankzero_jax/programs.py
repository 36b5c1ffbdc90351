"""`rankzero_jax.jit`: a function compiled twice, and on the host the choice which program a step runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MethodType
from typing import Any

import jax

from rankzero.plugin import Run, guarded
from rankzero_jax.internals import is_top_level, mode
from rankzero_jax.recording import record_captured, record_logged, steps_of
from rankzero_jax.runs import Numbering, active_or_new
from rankzero_jax.taps import Tap, collecting


class Calls:
    """What the programs of this process share.

    Attributes:
        step: of the call that was made last.
        others: takes the taps that are not of `log` and `capture`, where somebody else listens.
    """

    def __init__(self) -> None:
        self.step = 0
        self.others: Callable[[tuple[Tap, ...]], None] = lambda _: None


calls = Calls()


def jit(
    fun: Callable[..., Any] | None = None, *, every: int = 50, using: Callable[..., Any] = jax.jit, **options: Any
) -> Any:
    """As `jax.jit`, for a function that records.

    What `log` is given inside leaves the program as further outputs, at every call. What `capture` measures is measured at every
    `every`-th call: it runs a second program, compiled from the same function; all others run one without a trace of it. Where
    there is no run the program is the one that `jax.jit` makes.

    Args:
        fun: the function, of a training step; without it a decorator is returned.
        every: calls between two samples of `capture`; the first call is one.
        using: the transformation, `jax.jit`, `flax.nnx.jit` or `jax.pmap`.
        **options: of the transformation.

    Returns:
        The compiled function. Its other methods (`lower`, `trace`, ...) are those of the function without recording.
    """
    if fun is None:
        return functools.partial(jit, every=every, using=using, **options)
    return Program(fun, every, using, options)


class Program:
    """See `jit`."""

    def __init__(self, fun: Callable[..., Any], every: int, using: Callable[..., Any], options: dict[str, Any]) -> None:
        if every < 1:
            raise ValueError(f"jit(every={every}) is not possible; every is at least 1")
        functools.update_wrapper(self, fun)
        self._plain = using(fun, **options)
        self._mapped = using is jax.pmap
        self._compiled = using(tapped(fun), **with_taps(options, mapped=self._mapped))
        self._every = every
        self._run: Run | None = None
        self._calls = 0
        self._numbering: Numbering | None = None
        self._steps = 1

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function, and record what it has to say."""
        if not is_top_level():
            return self._plain(*args, **kwargs)
        run = active_or_new()
        if run is None:
            with mode("off"):
                return self._compiled(*args, **kwargs)[0]
        if run is not self._run or self._numbering is None:
            self._run, self._calls, self._numbering = run, 0, Numbering(run, first=0)
        due = self._calls % self._every == 0
        calls.step = self._numbering.peek()
        self._calls += 1
        with mode("recorded" if due else "plain"):
            out, taps = self._compiled(*args, **kwargs)
        self._record(run, self._numbering, taps)
        return out

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        """A method of `owner`, as any function is."""
        return self if owner is None else MethodType(self, owner)

    def __getattr__(self, name: str) -> Any:
        """What the transformation's own result has."""
        if name.startswith("__") or name == "_plain":
            raise AttributeError(name)
        return getattr(self._plain, name)

    @guarded("recording what a compiled function computed")
    def _record(self, run: Run, numbering: Numbering, taps: tuple[Tap, ...]) -> None:
        if self._mapped:
            taps = jax.tree.map(of_first_device, taps)
        counted = next((tap.step for tap in taps if tap.step is not None), None)
        self._steps = max([self._steps, *map(steps_of, taps)])
        step = calls.step = numbering.take(counted, self._steps)
        for tap in taps:
            if tap.kind == "capture":
                record_captured(run, tap, step)
            elif tap.kind == "log":
                record_logged(run, tap, step)
        calls.others(taps)


def tapped(fun: Callable[..., Any]) -> Callable[..., tuple[Any, tuple[Tap, ...]]]:
    """A function that returns beside what `fun` returns the taps that were set in it."""

    @functools.wraps(fun, updated=())
    def collect(*args: Any, **kwargs: Any) -> tuple[Any, tuple[Tap, ...]]:
        with collecting() as collector:
            out = fun(*args, **kwargs)
            return out, tuple(collector.taps)

    return collect


def with_taps(options: dict[str, Any], *, mapped: bool = False) -> dict[str, Any]:
    """The options of a transformation for a function's tapped form, which has outputs of ours behind its own."""
    if mapped:
        return {**options, "out_axes": (options.get("out_axes", 0), 0)}
    if "out_shardings" in options:
        return {**options, "out_shardings": (options["out_shardings"], None)}
    return options


def of_first_device(array: jax.Array) -> Any:
    """What the first of this process's devices returned from a mapped function."""
    return array.addressable_data(0).reshape(array.shape[1:])
