"""Optimizer steps, as they show where an optax transformation's `update` is called."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rankzero.plugin import guarded, replace, report
from rankzero_jax.internals import is_top_level, is_traced, looks_first, mode
from rankzero_jax.kinds import kind_of
from rankzero_jax.outputs import packed
from rankzero_jax.runs import NAME, of_the_loop
from rankzero_jax.statistics import Wanted, measure
from rankzero_jax.taps import Collector, collector
from rankzero_jax.trees import count_of, scalar_in
from rankzero_jax.zero_change.arguments import arguments
from rankzero_jax.zero_change.loop import Loop
from rankzero_jax.zero_change.losses import is_loss
from rankzero_jax.zero_change.steps import FACTOR
from rankzero_jax.zero_change.trainings import Trainings

OUT_OF_REACH = (
    "the step is compiled ahead of time, or lies in vmap, cond, shard_map, fori_loop or while_loop; "
    "rankzero_jax.log records there too"
)
_LISTENING = "_rankzero_listening"


class _Here(threading.local):
    """In this thread: how deep in updates of updates, the learning rates met in the outermost, and whether it was made while tracing."""

    def __init__(self) -> None:
        self.depth = 0
        self.rates: list[Any] = []
        self.is_new = False


class Updates:
    """Listens to every outermost `update`. Transformations themselves are as they were: only looking one up is heard."""

    def __init__(self, loop: Loop, trainings: Trainings) -> None:
        self._loop = loop
        self._trainings = trainings
        self._here = _Here()

    def install(self, optax: ModuleType) -> None:
        """Listen to the transformations of a module."""
        kind = optax.GradientTransformation
        look_up = kind.__dict__["update"]
        if not isinstance(look_up, property):
            kind.update = property(lambda transformation: self._listening(look_up.__get__(transformation)))
        replace(optax.MultiSteps, "update", lambda original: self._around(original, skip=1))
        for module in (optax, optax._src.transform):  # noqa: SLF001 - the optimizers look it up there
            replace(module, "scale_by_learning_rate", self._around_rate)

    def _listening(self, update: Callable[..., Any]) -> Callable[..., Any]:
        """The same listener for the same function."""
        if not isinstance(update, FunctionType):
            return self._around(update)
        known = update.__dict__.get(_LISTENING)
        if known is None or known.__wrapped__ is not update:
            known = self._around(update)
            setattr(update, _LISTENING, known)
        return known

    def _around(self, original: Callable[..., Any], skip: int = 0) -> Callable[..., Any]:
        here = self._here
        note = guarded("looking at an optimizer step")(self.note)

        @functools.wraps(original)
        def update(*args: Any, **options: Any) -> Any:
            if here.depth:
                return original(*args, **options)
            here.depth, here.rates, here.is_new = 1, [], False
            try:
                changes, state = original(*args, **options)
            finally:
                here.depth = 0
            given = {**dict(zip(("updates", "state", "params"), args[skip:], strict=False)), **options}
            rate = _rate(here.rates, given["state"], state)
            note(args[0] if skip else original, given, state, rate)
            here.rates = []
            return changes, state

        return update

    def note(self, optimizer: Any, given: dict[str, Any], state: Any, rate: Any) -> None:
        """An optimizer step.

        Args:
            optimizer: what is the same in each step of one training.
            given: what its `update` was called with: "updates", the gradients, and if it was "params" and "value", the loss;
                and "factor", if the loss is that times the one that comes by itself.
            state: that it returned.
            rate: its learning rate, None if that is not known.
        """
        run = of_the_loop()
        if run is None:
            return
        gradients, params = given["updates"], given.get("params")
        there = collector()
        if there is not None and self._here.is_new:
            training = self._trainings.number_of_new(optimizer, gradients, there)
        else:
            training = self._trainings.number(optimizer)
        self._loop.met(run, gradients if params is None else params, training)
        if there is None and not is_top_level():
            for quantity in ("loss", "grad/norm", "optim/lr"):
                report(quantity, "seen", NAME, OUT_OF_REACH)
            return
        wanted = _wanted(run.settings.gradients, spread=arguments.are_spread(gradients))
        measuring = measure if there is not None else jax.jit(measure, static_argnums=0)
        tap = measuring(wanted, gradients, None, params if wanted.parameters else None, count_of(state, optimizer))
        tap.kind = "step"
        loss = self._loss(there, given)
        found = {"optim/lr": rate, "loss": loss, FACTOR: given.get("factor")}
        more = {name: value for name, value in found.items() if value is not None}
        if more:
            tap.names = (*tap.names, *more)
            tap.numbers = jnp.concatenate(
                [tap.numbers, jnp.stack([jnp.asarray(value, jnp.float32) for value in more.values()])]
            )
        waits = loss is None and not (there and there.differentiated)
        tap.about = (training, arguments.samples((gradients, state)), kind_of(gradients) if waits else None)
        if there is not None:
            there.taps.append(tap)
        else:
            self._loop.arrived(packed([tap]))

    @staticmethod
    def _loss(there: Collector | None, given: dict[str, Any]) -> Any:
        """The loss of a step, as it was seen, or as a line search is told; else none, if not by itself."""
        seen = None if there is None else there.differentiated.loss_of(given["updates"])
        value = given.get("value")
        return value if seen is None and is_loss(value) else seen

    def _around_rate(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `optax.scale_by_learning_rate`, through which every optimizer's learning rate goes."""
        note = guarded("looking at a learning rate")(self._note_rate)

        def scale_by_learning_rate(learning_rate: Any = None, **options: Any) -> Any:
            made = original(learning_rate, **options)
            if learning_rate is None:
                return made
            init, scale = made
            is_new = not is_top_level() and not self._here.depth

            @functools.wraps(scale)
            def update(updates: Any, state: Any, params: Any = None) -> Any:
                note(learning_rate, state, is_new=is_new)
                return scale(updates, state, params)

            return type(made)(init, update)

        return scale_by_learning_rate

    def _note_rate(self, rate: Any, state: Any, *, is_new: bool) -> None:
        if self._here.depth:
            self._here.is_new |= is_new
            within = collector() is None and not is_top_level()
            self._here.rates.append(_Within(rate) if within else rate(state.count) if callable(rate) else rate)


class _Within(NamedTuple):
    """A learning rate met in a part of the program that hands nothing out: `optax.MultiSteps` updates in a `lax.cond`."""

    rate: Any


def _rate(met: list[Any], before: Any, after: Any) -> Any:
    """The learning rate of a step, of those that were met in it; None without any."""
    if not met:
        return None
    return _known(met[-1] if len(met) > 1 and looks_first(after) else met[0], before, after)


def _known(met: Any, before: Any, after: Any) -> Any:
    """A learning rate that was met, or what the optimizer's state tells of it; None if that is nothing."""
    if not isinstance(met, _Within):
        return met
    if callable(met.rate):
        count = scalar_in(before, "count")
        return None if count is None else met.rate(count)
    return scalar_in(after, "learning_rate") if is_traced(met.rate) else met.rate


def _wanted(setting: str, *, spread: bool) -> Wanted:
    recorded = mode.value != "plain"
    if setting == "off":
        report("grad/norm", "off", NAME, "RANKZERO_GRADIENTS=off")
    elif spread:
        report(
            "grad/norm", "seen", NAME, "parameters are spread over devices: it needs a collective, capture() makes it"
        )
        setting = "off"
    return Wanted(
        gradients=recorded and setting != "off",
        parameters=False,
        each=recorded and setting in {"params", "hist"},
        histograms=recorded and setting == "hist",
    )
