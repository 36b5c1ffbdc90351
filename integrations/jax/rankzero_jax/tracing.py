"""`rankzero_jax.log`: one function for values that are there and for values that are being traced."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Mapping
from typing import Any

import jax

from rankzero.plugin import current_run, guarded, started_by_run, warn_once
from rankzero_jax.arriving import Held
from rankzero_jax.internals import is_top_level, is_traced, mode
from rankzero_jax.runs import active, active_or_new
from rankzero_jax.taps import Tap, call_back, collector


@guarded("logging from a JAX program")
def log(metrics: Mapping[str, Any], step: Any = None, *, ranks: str | None = None, ordered: bool = False) -> None:
    """Record values at a step, from anywhere: outside of compiled functions, or inside `jit`, `scan`, `pmap`, `shard_map`.

    Outside, arrays are recorded when they have been computed; nothing waits for them. Inside, the values leave the program as
    further outputs of a function made by `rankzero_jax.jit`, which costs next to nothing, and otherwise by a callback. Where
    there is no run, or a disabled one, when the function is traced, nothing is compiled into it.

    Args:
        metrics: names to numbers or arrays (kept as histograms); dicts may be nested.
        step: a whole number, traced or not. Rows of a callback arrive in any order, so give it one: a series is read by step.
        ranks: "all" records each process's own value; by default process zero alone records.
        ordered: callbacks in the order of the program, also without a step. Such a function cannot be differentiated or vmapped.
    """
    values = dict(_flat(metrics))
    if is_top_level():
        run = active_or_new()
        if run is not None:
            kept = {
                name: Held(name, value) if isinstance(value, jax.Array) else value for name, value in values.items()
            }
            run.log(kept, step=step if step is None else operator.index(step), ranks=ranks)
        elif current_run() is None:
            warn_once("jax log", "log() records nothing: there is no run; call rankzero.init() first")
        return
    if not _wanted():
        return
    given = {name: value for name, value in values.items() if _is_numeric(value)}
    for name in values.keys() - given.keys():
        warn_once(f"traced {name}", f"{name!r} was not recorded: only numbers and arrays can be logged inside jit")
    tap = Tap(
        "log", values=given, step=step if is_traced(step) else None, about=(ranks, None if is_traced(step) else step)
    )
    here = collector()
    if here is not None and not is_traced(step):
        here.taps.append(tap)
    else:
        call_back(tap, functools.partial(_deliver, ranks), ordered=ordered)


def _wanted() -> bool:
    """Whether what is being traced is to record anything."""
    if mode.value is not None:
        return mode.value in {"plain", "recorded"}
    if current_run() is None and not started_by_run():
        warn_once("jax log", "log() was traced while there was no run: the compiled function records nothing")
        return False
    return started_by_run() or active() is not None


@guarded("recording values from a compiled function")
def _deliver(ranks: str | None, tap: Tap) -> None:
    run = active_or_new()
    if run is not None:
        step = tap.about[1] if tap.step is None else int(tap.step)
        run.log({name: _plain(value) for name, value in tap.values.items()}, step=step, ranks=ranks)


def _plain(value: Any) -> Any:
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _flat(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _is_numeric(value: Any) -> bool:
    return is_traced(value) or isinstance(value, bool | int | float | jax.Array) or hasattr(value, "__array__")
