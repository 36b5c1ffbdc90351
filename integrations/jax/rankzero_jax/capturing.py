"""`rankzero_jax.capture`: an optax transformation that measures the gradients, parameters and updates that pass through it."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rankzero import RankZeroError
from rankzero.plugin import claim, guarded, report, warn_once
from rankzero_jax.arriving import Arriving
from rankzero_jax.internals import is_top_level, mode
from rankzero_jax.programs import calls
from rankzero_jax.recording import Decoding
from rankzero_jax.runs import active, suffix_in
from rankzero_jax.statistics import Wanted, histogram, measure
from rankzero_jax.taps import Tap, call_back, collector
from rankzero_jax.trees import count_of

_numbers = itertools.count(1)

PRECEDENCE = 100
"""What the user asked for by hand stands before what any integration would record."""


def capture(
    inner: optax.GradientTransformation | None = None,
    *,
    log: str = "gradients",
    histograms: bool = False,
    carry: bool = False,
    every: int = 50,
) -> optax.GradientTransformationExtraArgs:
    """A gradient transformation that measures what passes through it and changes nothing.

    In a function compiled by `rankzero_jax.jit` the sample leaves the program by itself, every so many calls, and the state is
    that of `inner`. In any other compiled function nothing is measured unless `carry` keeps the last sample in the state: then
    call `rankzero_jax.record(opt_state)` after each step.

    Args:
        inner: the optimizer, whose incoming gradients and outgoing updates are seen; without one, as a link of `optax.chain`,
            what passes here counts as gradients.
        log: "gradients" (global norm, non-finite count, and norm and largest value of each parameter's), "parameters" (norms, and
            of updates relative to them), "all", or "norm" (the gradients' global norm and non-finite count only).
        histograms: distributions as well, of at most 4,096 values of each tensor.
        carry: keep the last sample in the optimizer's state.
        every: with `carry`, updates between two samples.

    Raises:
        RankZeroError: `log` is none of these, or `every` is below 1.
    """
    wanted = _wanted(log, histograms=histograms)
    if every < 1:
        raise RankZeroError(f"capture(every={every}) is not possible; every is at least 1")
    wrapped = optax.with_extra_args_support(optax.identity() if inner is None else inner)
    if carry:
        return _carrying(wrapped, wanted, every)

    number = next(_numbers) if is_top_level() else 0

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        changes, state_after = wrapped.update(updates, state, params, **extra)
        done = count_of(state_after, inner)
        _emit(wanted, (updates, changes if inner is not None else None, params, done), number)
        return changes, state_after

    return optax.GradientTransformationExtraArgs(wrapped.init, update)


@guarded("recording the sample in an optimizer's state")
def record(opt_state: Any, step: int | None = None) -> None:
    """Log the sample that a `capture(carry=True)` left in an optimizer's state, if it is new. Waits for nothing.

    Args:
        opt_state: the state after the step, or anything that contains it (a TrainState, an nnx.Optimizer's state). What is read of
            it is copied, so it may be donated to the next step.
        step: of the run; by default the next.
    """
    run = active()
    if run is None:
        return
    found = [leaf for leaf in jax.tree.leaves(opt_state, is_leaf=_is_carried) if _is_carried(leaf)]
    if not found:
        warn_once(
            "jax record", "record() found no sample: make the optimizer with rankzero_jax.capture(..., carry=True)"
        )
    for carried in found:
        names = tuple(carried.numbers)
        taken, vector, counted = _copied(carried.taken, carried.numbers, carried.counted)
        arrived = Arriving((taken, vector, counted), _IfNew(names))
        run.log({"capture": arrived}, step=step, commit=False if step is None else None)


class Carried(NamedTuple):
    """The state of a `capture(carry=True)`: the last sample, and the wrapped transformation's own state.

    Attributes:
        inner: state of the wrapped transformation.
        seen: updates so far.
        taken: which of them was sampled last, counted from 1.
        numbers: what was measured then, by name.
        counted: the histograms of then, by name.
    """

    inner: Any
    seen: jax.Array
    taken: jax.Array
    numbers: dict[str, jax.Array]
    counted: dict[str, jax.Array]


class _IfNew(Decoding):
    """From a copied sample to a row, empty if the sample has been in one already."""

    latest: ClassVar[dict[tuple[str, ...], int]] = {}

    def __call__(self, found: tuple[Any, ...]) -> dict[str, Any]:
        taken = int(found[0])
        if not taken or self.latest.get(self.names) == taken:
            return {}
        self.latest[self.names] = taken
        return super().__call__(found[1:])


def _carrying(
    inner: optax.GradientTransformationExtraArgs, wanted: Wanted, every: int
) -> optax.GradientTransformationExtraArgs:
    def init(params: Any) -> Carried:
        empty = jax.eval_shape(lambda tree: _sample(wanted, tree, tree, tree), params)
        numbers, counted = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), empty)
        return Carried(inner.init(params), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32), numbers, counted)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Carried]:
        changes, inner_state = inner.update(updates, state.inner, params, **extra)
        seen = state.seen + 1
        needed = (updates, (changes, params) if wanted.parameters else (None, None))
        taken, numbers, counted = jax.lax.cond(
            state.seen % every == 0,
            lambda given: (seen, *_sample(wanted, given[0], *given[1])),
            lambda _: (state.taken, state.numbers, state.counted),
            needed,
        )
        return changes, Carried(inner_state, seen, taken, numbers, counted)

    return optax.GradientTransformationExtraArgs(init, update)


def _sample(wanted: Wanted, gradients: Any, changes: Any, params: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    tap = measure(wanted, gradients, changes, params)
    return dict(zip(tap.names, tap.numbers, strict=True)), tap.values


@jax.jit
def _copied(taken: Any, numbers: dict[str, Any], counted: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Copies that no donation reaches; the numbers as one vector."""
    return jnp.copy(taken), jnp.stack(list(numbers.values())), jax.tree.map(jnp.copy, counted)


def _is_carried(node: Any) -> bool:
    return isinstance(node, Carried)


def _emit(wanted: Wanted, given: tuple[Any, ...], number: int) -> None:
    """Send a sample on its way, if this is a program that records."""
    _say(mode.value)
    if mode.value not in {"sampled", "recorded"}:
        return
    tap = measure(wanted, *given)
    tap.about = (number,)
    here = collector()
    if here is not None:
        here.taps.append(tap)
    else:
        call_back(tap, _deliver)


def _say(about: str | None) -> None:
    """Tell the capture report, and whoever waits for a sample in vain."""
    if about in {"plain", "sampled", "recorded"}:
        claim("grad/norm", "jax.capture", PRECEDENCE)
        report("grad/norm", "recorded", "jax.capture")
    elif about is None and active() is not None:
        why = "compiled by jax.jit: compile the step with rankzero_jax.jit, or use capture(carry=True)"
        report("grad/norm", "off", "jax.capture", why)
        warn_once("jax capture", f"capture() measures nothing, as the step is {why}")


@guarded("recording a sample from a compiled function")
def _deliver(tap: Tap) -> None:
    run = active()
    if run is not None:
        row: dict[str, Any] = dict(zip(tap.names, np.asarray(tap.numbers).tolist(), strict=True))
        row.update({name: histogram(np.asarray(counted)) for name, counted in tap.values.items()})
        behind = suffix_in(run, tap.about[0])
        row = {f"{name}{behind}": value for name, value in row.items()}
        run.log(row, step=calls.step if tap.step is None else int(tap.step) - 1)


def _wanted(log: str, *, histograms: bool) -> Wanted:
    if log not in {"norm", "gradients", "parameters", "all"}:
        raise RankZeroError(f'capture(log={log!r}) is not known; write "norm", "gradients", "parameters" or "all"')
    return Wanted(
        gradients=log != "parameters",
        parameters=log in {"parameters", "all"},
        each=log != "norm",
        histograms=histograms,
    )
