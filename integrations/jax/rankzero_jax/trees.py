"""Trees of parameters: their leaves under readable names."""

from __future__ import annotations

from typing import Any

import jax

from rankzero_jax.internals import small_steps

_WRAPPERS = (".value", ".raw_value")


def named_leaves(tree: Any) -> list[tuple[str, Any]]:
    """The arrays of a tree that hold floating point numbers, in its order, under names like "Dense_0.kernel"."""
    found = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        if hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact):
            found.append((_name(path), leaf))
    return found


def _name(path: tuple[Any, ...]) -> str:
    name = jax.tree_util.keystr(path, simple=True, separator=".")
    for wrapper in _WRAPPERS:
        name = name.removesuffix(wrapper)
    return name.removeprefix("params.") or "parameters"


def count_of(state: Any, optimizer: Any = None) -> Any:
    """How many steps an optimizer's state has seen, by its own count; None if it does not count.

    Args:
        state: of the optimizer.
        optimizer: a transformation or its `update`, which knows how many small steps one of `optax.MultiSteps` has.
    """
    applied = scalar_in(state, "gradient_step")
    if applied is None:
        return scalar_in(state, "count")
    size = small_steps(optimizer)
    return None if size is None else applied * size(applied) + scalar_in(state, "mini_step")


def scalar_in(state: Any, name: str) -> Any:
    """The first number of that name in an optimizer's state; None if there is none."""
    for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]:
        last = jax.tree_util.keystr(path[-1:], simple=True) if path else ""
        if last == "value" and len(path) > 1:
            last = jax.tree_util.keystr(path[-2:-1], simple=True)
        if last == name and getattr(leaf, "ndim", 1) == 0:
            return leaf
    return None
