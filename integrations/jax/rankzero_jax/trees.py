"""Trees of parameters: their leaves under readable names."""

from __future__ import annotations

from typing import Any

import jax

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


def count_of(state: Any) -> Any:
    """How many steps an optimizer's state has seen, by its own count; None if it does not count."""
    best = None
    for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]:
        last = jax.tree_util.keystr(path[-1:], simple=True) if path else ""
        if last == "value" and len(path) > 1:
            last = jax.tree_util.keystr(path[-2:-1], simple=True)
        if last == "gradient_step":
            return leaf
        if last == "count" and best is None and getattr(leaf, "ndim", 1) == 0:
            best = leaf
    return best
