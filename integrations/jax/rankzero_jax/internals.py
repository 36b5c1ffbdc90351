"""Every name of JAX's and optax's own that is used here, in one place, so that a new release is checked by reading one file."""

from __future__ import annotations

from typing import Any

import jax
from jax._src import core

mode = jax.make_user_context(default_value=None)
"""What a `rankzero_jax.jit` is about; part of the key of every cache of compiled programs, nested functions' included.

None outside of one; "off", "plain" or "recorded" inside.
"""


def current_trace() -> Any:
    """The trace that operations of this thread go to now; compared by identity, kept only while it lasts."""
    return core.trace_ctx.trace


def is_top_level() -> bool:
    """Whether operations are executed as they are called: no function is being traced in this thread."""
    return bool(core.trace_ctx.is_top_level())


def axis_names() -> tuple[Any, ...]:
    """The axes over devices (or lanes) that the code being traced runs along: of `shard_map`, `pmap`, a named `vmap`."""
    return tuple(core.get_axis_env().axis_sizes)


def is_initialized() -> bool:
    """Whether `jax.distributed.initialize` was called; asks nothing that would start a backend."""
    return bool(jax.distributed.is_initialized())


def is_traced(value: Any) -> bool:
    """Whether a value has no number yet."""
    return isinstance(value, core.Tracer)
