"""What gradients look like, as a number that a program's outputs can carry: it tells those of one model from another's."""

from __future__ import annotations

from collections import Counter
from typing import Any

import jax

Shapes = tuple[tuple[int, ...], ...]

_shapes: list[Shapes] = []
_numbers: dict[Shapes, int] = {}


def kind_of(gradients: Any) -> int:
    """The number of all trees whose leaves have these shapes."""
    shapes = tuple(jax.numpy.shape(leaf) for leaf in jax.tree.leaves(gradients))
    number = _numbers.setdefault(shapes, len(_shapes))
    if number == len(_shapes):
        _shapes.append(shapes)
    return number


def shapes_of(kind: int) -> Shapes:
    """Of the leaves of gradients of a kind."""
    return _shapes[kind]


def is_part(kind: int, whole: int) -> bool:
    """Whether gradients of one kind can be some of those of another."""
    return Counter(_shapes[kind]) <= Counter(_shapes[whole])
