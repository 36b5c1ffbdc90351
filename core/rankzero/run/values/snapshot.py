"""What the training thread does with a logged value that is no plain number: the least that makes it safe to look at later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rankzero.run.values.arrays import Deferred, hold
from rankzero.run.values.histogram import Histogram
from rankzero.run.values.media import Image, is_picture

MOST_ELEMENTS = 4_194_304
"""Larger arrays, logged bare, are kept as the histogram of a strided sample that says so. `Histogram(array)` takes all of it."""

_PLAIN = frozenset({int, float, bool, str, type(None)})


class Together:
    """Several values, some of which still lie on a device."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self._parts = parts

    def ready(self) -> bool:
        """Whether all of them are there."""
        return all(part.ready() for part in self._parts if isinstance(part, Deferred))

    def value(self) -> tuple[Any, ...]:
        """All of them."""
        return tuple(part.value() if isinstance(part, Deferred) else part for part in self._parts)


def snapshot(value: Any) -> Any:
    """`value`, or a stand-in that later changes to it do not reach. Waits for no device, encodes and validates nothing.

    Arrays and tensors are held as `rankzero.run.values.arrays.hold` says, one that lies on a device as a `Deferred`. A list becomes a
    tuple, a dict a new dict, a PIL image or matplotlib figure an `Image`; everything else is returned as it is.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list or kind is tuple:
        return _sequence(value)
    if isinstance(value, Mapping):
        return {key: snapshot(item) for key, item in value.items()}
    if hasattr(kind, "shape") and hasattr(kind, "dtype"):
        return _array(value)
    return Image(value) if is_picture(value) else value


def _sequence(items: list[Any] | tuple[Any, ...]) -> Any:
    if _PLAIN.issuperset(map(type, items)):
        return tuple(items)
    parts = tuple(Image(item) if is_picture(item) else hold(item) for item in items)
    return Together(parts) if any(isinstance(part, Deferred) for part in parts) else parts


def _array(value: Any) -> Any:
    if not _is_large(value):
        return hold(value)
    flat = value.detach().reshape(-1) if hasattr(value, "detach") else value.reshape(-1)
    return Histogram(flat[:: -(-flat.shape[0] // MOST_ELEMENTS)], sampled=True)


def _is_large(value: Any) -> bool:
    """Whether it is a numpy array or an ordinary torch tensor too large to copy whole at every step."""
    if hasattr(value, "numel"):
        return bool(
            value.numel() > MOST_ELEMENTS and not hasattr(value, "full_tensor") and str(value.layout) == "torch.strided"
        )
    return hasattr(value, "strides") and value.size > MOST_ELEMENTS
