"""What the function being compiled was called with: there the arrays are whose layout over devices its tracers do not tell."""

from __future__ import annotations

import threading
from typing import Any

import jax

Samples = tuple[float, float]
"""How many a call was given, by its data's first axis and, for a call of as many steps as that is long, by its second; 0: unknown."""


class Arguments(threading.local):
    """Of the call that this thread is in.

    Attributes:
        given: positional and keyword arguments; None outside of a call, so that nothing is kept alive.
        mapped: they have an axis ahead for the devices, as `jax.pmap` wants it.
    """

    def __init__(self) -> None:
        self.given: Any = None
        self.mapped = False

    def are_spread(self, params: Any) -> bool:
        """Whether parameters are parted over devices: arguments of their shapes are, and no others of those shapes.

        What is computed of gradients laid out like them would need a collective that the program does not make.
        """
        arrays = [leaf for leaf in jax.tree.leaves(self.given) if isinstance(leaf, jax.Array) and not leaf.is_deleted()]
        whole = {array.shape for array in arrays if array.is_fully_replicated}
        parted = {array.shape for array in arrays} - whole
        return any(leaf.shape in parted for leaf in jax.tree.leaves(params) if hasattr(leaf, "shape"))

    def samples(self, trained: Any) -> Samples:
        """This process's samples among them: the length that all arrays have in common which do not belong to the training.

        Args:
            trained: parameters and the optimizer's state; what has their shapes is no data.
        """
        theirs = {leaf.shape for leaf in jax.tree.leaves(trained) if hasattr(leaf, "shape")}
        shapes = [_shape_of(leaf, mapped=self.mapped) for leaf in jax.tree.leaves(self.given) if _is_data(leaf)]
        data = {shape for inner, shape in shapes if inner not in theirs}
        most = max(map(len, data), default=0)
        first = {shape[0] for shape in data} if most >= _MATRIX else set()
        second = {shape[1] if len(shape) > 1 else 0 for shape in data} if most > _MATRIX else set()
        return _only(first), _only(second)


_MATRIX = 2
"""Axes of what certainly has one for samples: a vector may be a single one."""


def _is_data(leaf: Any) -> bool:
    """Whether it is an array that is no key of random numbers."""
    shape, kind = getattr(leaf, "shape", ()), getattr(leaf, "dtype", None)
    if not shape or kind is None or jax.numpy.issubdtype(kind, jax.dtypes.prng_key):
        return False
    return not (kind == "uint32" and shape == (2,))


def _shape_of(leaf: Any, *, mapped: bool) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Of an argument, as the function sees it, and as far as it lies in this process."""
    if mapped:
        return leaf.shape[1:], tuple(length * len(leaf) for length in leaf.shape[1:2]) + leaf.shape[2:]
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
        return leaf.shape, leaf.shape
    part = leaf.sharding.shard_shape(leaf.shape)
    here = len(leaf.sharding.addressable_devices) / len(leaf.sharding.device_set)
    own = tuple(whole * here if cut < whole else whole for cut, whole in zip(part, leaf.shape, strict=True))
    return leaf.shape, own


def _only(lengths: set[float]) -> float:
    """The one there is; 0 if there is none, or several."""
    return lengths.pop() if len(lengths) == 1 else 0


arguments = Arguments()
