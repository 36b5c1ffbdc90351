"""Every name of JAX's and optax's own that is used here, in one place, so that a new release is checked by reading one file."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.custom_batching
from jax._src import api, config, core, source_info_util, traceback_util, xla_bridge

F = TypeVar("F", bound=Callable[..., Any])

mode = jax.make_user_context(default_value=None)
"""What a `rankzero_jax.jit` is about; part of the key of every cache of compiled programs, nested functions' included.

None outside of one; inside "off", "plain" (what `log` is given is wanted), "sampled" (what `capture` measures), or "recorded" (both).
"""


def current_trace() -> Any:
    """The trace that operations of this thread go to now; compared by identity, kept only while it lasts."""
    return core.trace_ctx.trace


def is_top_level() -> bool:
    """Whether operations are executed as they are called: no function is being traced in this thread."""
    return bool(core.trace_ctx.is_top_level())


def is_jit_off() -> bool:
    """Whether functions run as Python, below `jax.disable_jit`."""
    return bool(config.disable_jit.value)


def is_checking() -> bool:
    """Whether JAX looks for mistakes in what programs do: random keys used twice, numbers that are none."""
    return bool(config.debug_key_reuse.value or config.debug_nans.value or config.debug_infs.value)


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """JAX's checks are for the program's own calls.

    Not by `jax.debug_nans(False)`: what that leaves behind is a thread without checks, whatever the program has set.
    """
    if not is_checking():
        yield
        return
    states = (config.debug_key_reuse, config.debug_nans, config.debug_infs, api._post_hook_state)  # noqa: SLF001 - see above
    before = [state.swap_local(off) for state, off in zip(states, (False, False, False, None), strict=True)]
    try:
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.set_local(value)


def axis_names() -> tuple[Any, ...]:
    """The axes over devices (or lanes) that the code being traced runs along: of `shard_map`, `pmap`, a named `vmap`."""
    return tuple(core.get_axis_env().axis_sizes)


def is_initialized() -> bool:
    """Whether `jax.distributed.initialize` was called; asks nothing that would start a backend."""
    return bool(jax.distributed.is_initialized())


def has_backend() -> bool:
    """Whether devices are in use already; asks nothing that would start them."""
    return bool(xla_bridge.backends_are_initialized())


@functools.cache
def keeps_effects() -> bool:
    """Whether a callback in a `custom_vmap` is part of the program; early releases of JAX leave it out."""

    @jax.custom_batching.custom_vmap
    def emit(x: Any) -> Any:
        jax.debug.callback(lambda _: None, x)
        return x

    emit.def_vmap(lambda _, parted, x: (x, parted[0]))
    return bool(jax.make_jaxpr(emit)(1.0).effects)


def unseen(call: F) -> F:
    """A function of ours that stands in the place of one of JAX's: this package's frames are left out of tracebacks as JAX's are."""
    _leave_out()
    return traceback_util.api_boundary(call)


@functools.cache
def _leave_out() -> None:
    for about in (traceback_util, source_info_util):
        about.register_exclusion(str(Path(__file__).parent))


def small_steps(optimizer: Any) -> Any:
    """From a step's number to how many small ones `optax.MultiSteps` makes it of; None for another optimizer.

    Args:
        optimizer: the object, a transformation made of it, or the `update` of one.
    """
    update = getattr(optimizer, "update", optimizer)
    return getattr(getattr(update, "__self__", None), "_every_k_schedule", None)


def looks_first(state: Any) -> bool:
    """Whether an optimizer, whose state this is, takes a step of another one first to look at gradients there: `optax.contrib.sam`."""

    def is_its(node: Any) -> bool:
        return hasattr(node, "adv_state")

    return any(map(is_its, jax.tree.leaves(state, is_leaf=is_its)))


def is_pair(result: Any) -> bool:
    """Whether a function returned two things, as JAX asks of a loop's body and of one with an auxiliary result."""
    return isinstance(result, list | tuple) and len(result) == 2  # noqa: PLR2004 - a pair


def is_traced(value: Any) -> bool:
    """Whether a value has no number yet."""
    return isinstance(value, core.Tracer)


def operation_of(value: Any) -> Any:
    """What a value that is being traced is a result of: something like an equation of a jaxpr; None for an argument or a constant."""
    return getattr(value, "parent", None) if is_traced(value) else None


def number_in(value: Any) -> float | None:
    """What a traced operation, or an equation of a jaxpr, is given, if that is a number which is part of the program."""
    atom = getattr(value, "val", None) if is_traced(value) else value
    return None if not isinstance(atom, core.Literal) or jax.numpy.iscomplexobj(atom.val) else float(atom.val)
