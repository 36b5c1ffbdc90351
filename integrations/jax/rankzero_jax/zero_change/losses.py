"""The loss a program trains on: the value of the function that it differentiates."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from rankzero.plugin import guarded
from rankzero_jax.internals import is_pair, is_top_level, unseen
from rankzero_jax.kinds import kind_of
from rankzero_jax.outputs import packed
from rankzero_jax.taps import Collector, Tap, collector
from rankzero_jax.zero_change.loop import Loop

_AUX = 2


def around_value_and_grad(loop: Loop) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For `jax.value_and_grad`."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def value_and_grad(fun: Any, *args: Any, **options: Any) -> Any:
            differentiated = original(fun, *args, **options)
            has_aux = bool(options.get("has_aux", args[1] if len(args) >= _AUX else False))

            @functools.wraps(differentiated)
            @unseen
            def call(*inputs: Any, **named: Any) -> Any:
                result = differentiated(*inputs, **named)
                _note(result[0][0] if has_aux else result[0], result[1], loop)
                return result

            return call

        return value_and_grad

    return around


def around_grad(original: Callable[..., Any]) -> Callable[..., Any]:
    """For `jax.grad`: where somebody collects, the value comes along."""

    def grad(fun: Any, argnums: Any = 0, has_aux: bool = False, *more: Any, **options: Any) -> Any:
        differentiated = original(fun, argnums, has_aux, *more, **options)

        @functools.wraps(differentiated)
        @unseen
        def call(*inputs: Any, **named: Any) -> Any:
            if collector() is None:
                return differentiated(*inputs, **named)
            whole = original(_with_value(fun, has_aux=has_aux), argnums, True, *more, **options)
            gradients, (value, aux) = whole(*inputs, **named)
            _note(value, gradients, None)
            return (gradients, aux) if has_aux else gradients

        return call

    return grad


def summed_up(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function that, when it is left with losses and no optimizer step has one, gives them to whoever collects."""
    leave = guarded("looking at the losses of a function")(_leave)

    @functools.wraps(fun, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        out = fun(*args, **kwargs)
        here = collector()
        if here is not None and not any("loss" in tap.names for tap in here.taps):
            leave(here, out)
        return out

    return call


def _leave(here: Collector, out: Any) -> None:
    for value, kind in here.differentiated.left_in(out):
        here.taps.append(Tap("loss", ("loss",), value, about=(kind,)))


def _with_value(fun: Callable[..., Any], *, has_aux: bool) -> Callable[..., Any]:
    @functools.wraps(fun, updated=())
    def call(*inputs: Any, **named: Any) -> Any:
        result = fun(*inputs, **named)
        if has_aux and not is_pair(result):
            return result  # JAX says so
        value, aux = result if has_aux else (result, None)
        return value, (value, aux)

    return call


def is_loss(value: Any) -> bool:
    """Whether it is an array of one real number."""
    return getattr(value, "shape", None) == () and bool(jnp.issubdtype(value.dtype, jnp.floating))


@guarded("looking at a loss")
def _note(value: Any, gradients: Any, loop: Loop | None) -> None:
    if not is_loss(value):
        return
    here = collector()
    if here is not None:
        here.differentiated.add(jnp.asarray(value, jnp.float32), gradients)
    elif loop is not None and is_top_level():
        loop.arrived(packed([Tap("loss", ("loss",), value, about=(kind_of(gradients),))]))
