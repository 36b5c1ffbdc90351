"""`rankzero_jax.jit`: a function compiled twice, and on the host the choice which program a step runs."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from time import monotonic
from types import MethodType
from typing import Any

import jax

from rankzero.plugin import Run, current_run, guarded
from rankzero_jax.checkpoints import checkpoints
from rankzero_jax.internals import is_top_level, mode, unseen
from rankzero_jax.outputs import Outputs, forms, packed, steps_of, unpacked
from rankzero_jax.pace import Times, pacers
from rankzero_jax.recording import record_captured, record_logged, record_row
from rankzero_jax.runs import Numbering, active_or_new, suffix_in
from rankzero_jax.sampling import Sampling
from rankzero_jax.surroundings import surroundings
from rankzero_jax.taps import collecting


class Calls:
    """What the programs of this process share.

    Attributes:
        step: of the call that was made last.
        others: takes the same outputs, for the taps that are not of `log` and `capture`, where somebody else listens. Whoever does
            tells how long steps take.
    """

    def __init__(self) -> None:
        self.step = 0
        self.others: Callable[[Outputs], None] | None = None


calls = Calls()


@unseen
def jit(
    fun: Callable[..., Any] | None = None,
    *,
    every: int = 50,
    exact: bool | None = None,
    using: Callable[..., Any] = jax.jit,
    **options: Any,
) -> Any:
    """As `jax.jit`, for a function that records.

    What `log` is given inside leaves the program as further outputs, at every call. What `capture` measures is measured at every
    `every`-th call, by a second program of the same function; the step itself runs one without a trace of it. Of the first such
    function, or the first with a `capture` in it, the time from call to call is recorded as `time/step`. Where there is no run
    the program is the one that `jax.jit` makes.

    Args:
        fun: the function, of a training step; without it a decorator is returned.
        every: calls between two samples of `capture`; the first call is one.
        exact: True: a sample is a call of its own, of a program that hands out nothing else; then the step runs, as at all other
            calls. So results have the bits that they have without us, for the price of the function once more a sample, its
            callbacks included; in a job of several processes all must be recorded. False: the step hands the sample out, which
            is cheaper, and in some models changes last bits. None: as True for functions of one process without callbacks of
            their own, and as False for others.
        using: the transformation, `jax.jit`, `flax.nnx.jit` or `jax.pmap`.
        **options: of the transformation.

    Returns:
        The compiled function. Its other methods (`lower`, `trace`, ...) are those of the function without recording.

    Raises:
        ValueError: an argument is not possible.
    """
    if every < 1:
        raise ValueError(f"jit(every={every}) is not possible; every is at least 1")
    if fun is None:
        return functools.partial(jit, every=every, exact=exact, using=using, **options)
    return Program(fun, every, using, options, exact=exact)


class Program:
    """See `jit`."""

    def __init__(
        self,
        fun: Callable[..., Any],
        every: int,
        using: Callable[..., Any],
        options: dict[str, Any],
        *,
        exact: bool | None = None,
    ) -> None:
        functools.update_wrapper(self, fun)
        self._plain = using(fun, **options)
        self._mapped = using is jax.pmap
        more = with_taps(options, mapped=self._mapped)
        self._programs = {name: using(tapped(fun, name), **more) for name in ("off", "plain", "recorded")}
        self._sampling = None if exact is False else Sampling(fun, using, options, always=exact is True)
        self._every = every
        self._times: Times | None = None
        self._run: Run | None = None
        self._calls = 0
        self._numbering: Numbering | None = None
        self._next = 0
        self._steps = 1

    @unseen
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function, and record what it has to say."""
        if not is_top_level():
            return self._plain(*args, **kwargs)
        if (self._run is None or current_run() is not self._run) and not self._met():
            return self._programs["off"](*args, **kwargs)[0]
        calls.step = self._next
        due = self._calls % self._every == 0
        self._calls += 1
        out, outputs = self._sampled(args, kwargs) if due else self._programs["plain"](*args, **kwargs)
        if outputs:
            self._record(outputs)
        times = self._times
        if times is not None and times.counts:
            times.put.append((monotonic(), self._next + self._steps - 1, self._steps, checkpoints.elsewhere))
            surroundings.went(self._next, self._steps)
        self._next += self._steps
        return out

    def _sampled(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Outputs]:
        """A call with a sample: beside it, or within."""
        if self._sampling is None or not self._sampling.is_safe(self._programs, args, kwargs):
            out, outputs = self._programs["recorded"](*args, **kwargs)
            return out, outputs
        sample = self._sampling.take(args, kwargs)
        out, outputs = self._programs["plain"](*args, **kwargs)
        return out, {**(sample or {}), **outputs}

    def _met(self) -> bool:
        """Whether there is a run; it begins for this function now."""
        self._run = run = active_or_new()
        if run is not None:
            self._calls, self._numbering = 0, Numbering(run, first=0)
            self._next = self._numbering.peek()
            self._times = None
            surroundings.meets(run)
        return run is not None

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        """A method of `owner`, as any function is."""
        return self if owner is None else MethodType(self, owner)

    def __getattr__(self, name: str) -> Any:
        """What the transformation's own result has."""
        if name.startswith("__") or name == "_plain":
            raise AttributeError(name)
        return getattr(self._plain, name)

    @guarded("recording what a compiled function computed")
    def _record(self, outputs: Outputs) -> None:
        run = self._run
        if run is None:
            return
        if self._mapped:
            outputs = jax.tree.map(of_first_device, outputs)
        for number, arrays in outputs.items():
            if self._numbering is not None:
                self._number(number, arrays, self._numbering)
            if forms[number].row is not False:
                record_row(run, number, arrays, self._next)
                continue
            for tap in unpacked(number, arrays):
                if tap.kind == "capture":
                    record_captured(run, tap, self._next)
                elif tap.kind == "log":
                    record_logged(run, tap, self._next)
        if calls.others is not None:
            calls.others(outputs)

    def _number(self, number: int, arrays: list[Any], numbering: Numbering) -> None:
        """The first time that anything comes out: the optimizer's count, if there is one, says which step that was."""
        taps = unpacked(number, arrays)
        self._steps = max(map(steps_of, taps), default=1)
        counted = next((tap.step for tap in taps if tap.step is not None), None)
        self._next = calls.step = numbering.take(counted, self._steps) if counted is not None else self._next
        self._numbering = None
        if self._run is not None and calls.others is None:
            training = next((tap.about[0] for tap in taps if tap.kind == "capture"), None)
            self._times = pacers.of(self._run, None if training is None else suffix_in(self._run, training))


def tapped(fun: Callable[..., Any], about: str | None = None) -> Callable[..., tuple[Any, Outputs]]:
    """A function that returns beside what `fun` returns the taps that were set in it.

    Args:
        fun: the function.
        about: the `mode` in which it is traced.
    """
    whole = getattr(fun, "__wrapped__", fun)

    @functools.wraps(fun, updated=())
    def collect(*args: Any, **kwargs: Any) -> tuple[Any, Outputs]:
        with mode(about) if about else contextlib.nullcontext(), collecting(whole) as collector:
            out = fun(*args, **kwargs)
            return out, packed(collector.taps)

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
