"""Samples of what `capture` measures, taken in calls of their own: the step runs the program that it runs without them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import jax

from rankzero.plugin import guarded
from rankzero_jax.internals import is_jit_off, mode, unchecked
from rankzero_jax.outputs import Outputs, packed
from rankzero_jax.taps import collecting

_OF_RESULTS = {"donate_argnums", "donate_argnames", "out_shardings", "out_axes"}
_STATIC_OF_PMAP = "static_broadcasted_argnums"


class Sampling:
    """A program of a function that hands out what `capture` measures in it, and nothing that the function returns.

    Args:
        fun: the function.
        using: the transformation that compiles it.
        options: of the transformation.
        always: the user says that the function may be called once more.
    """

    def __init__(
        self, fun: Callable[..., Any], using: Callable[..., Any], options: dict[str, Any], *, always: bool
    ) -> None:
        changes_objects = getattr(using, "__module__", "").startswith("flax.")
        self._program = using(_measuring(fun, changes_objects=changes_objects), **of_arguments(options))
        self._static = options.get(_STATIC_OF_PMAP, ())
        self._is_safe = True if always else None

    def is_safe(self, programs: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the function may be called once more.

        Not where it calls back to the host or writes to a `jax.Ref`, and not in a job of several processes: its collectives would
        wait for a process that is not recorded. Nor where it is not compiled (`jax.disable_jit`), for then it runs as Python.

        Args:
            programs: what else the function was compiled to; "plain" with what `log` hands out, "off" without.
            args: of the first call.
            kwargs: of the first call.
        """
        if is_jit_off():
            return False
        if self._is_safe is None:
            alone = jax.process_count() == 1
            self._is_safe = alone and not all(
                self._has_effects(programs[name], args, kwargs) for name in ("plain", "off")
            )
        return self._is_safe

    @guarded("taking a sample of a compiled function")
    def take(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outputs:
        """What is measured in a call with these arguments; they are not donated, and objects among them stay as they are."""
        with unchecked():
            outputs: Outputs = self._program(*args, **kwargs)
            return outputs

    def _has_effects(self, program: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if hasattr(program, "trace"):
            traced = program.trace(*args, **kwargs)
            jaxpr = getattr(traced, "traced", traced).jaxpr
        else:
            jaxpr = jax.make_jaxpr(program, static_argnums=self._static)(*args, **kwargs)
        return bool(jaxpr.effects)


def of_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a transformation for a function of the same arguments, which are needed after it, and other results."""
    return {name: value for name, value in options.items() if name not in _OF_RESULTS}


def _measuring(fun: Callable[..., Any], *, changes_objects: bool) -> Callable[..., Outputs]:
    @functools.wraps(fun, updated=())
    def measure(*args: Any, **kwargs: Any) -> Outputs:
        if changes_objects:
            args, kwargs = sys.modules["flax.nnx"].clone((args, kwargs))
        with mode("sampled"), collecting() as collector:
            fun(*args, **kwargs)
            return packed([tap for tap in collector.taps if tap.kind == "capture"])

    return measure
