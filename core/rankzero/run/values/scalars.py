"""Numbers of any library as plain Python numbers; no library is imported for it."""

from __future__ import annotations

import math
import operator
from typing import Any

NOT_A_NUMBER = (TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError)
"""What reading a number raises where there is none: a symbol, a tracer, a deleted or abstract tensor."""


def scalar(value: Any) -> int | float | bool | None:
    """The number that `value` is, or None if it is none.

    Taken are Python, numpy, torch, jax, tensorflow and cupy scalars, arrays of exactly one element, Decimal, Fraction and
    whatever else converts itself to a number. Texts, complex numbers and times are not numbers. A value on a device is read from
    it, which waits for the device: call this where that may be done.
    """
    kind = type(value)
    if kind is float or kind is int or kind is bool:
        return value  # type: ignore[no-any-return]
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    try:
        return _converted(value, kind)
    except NOT_A_NUMBER:
        return None


def is_array(value: Any) -> bool:
    """Whether `value` is an array, a tensor or a scalar of an array library (by what its type has)."""
    kind = type(value)
    return hasattr(kind, "shape") and hasattr(kind, "dtype")


def _converted(value: Any, kind: type) -> int | float | bool | None:
    if is_array(value):
        return _only_element(value) if math.prod(value.shape) == 1 else None
    if hasattr(kind, "__index__"):
        return operator.index(value)
    if hasattr(kind, "__float__"):
        return float(value)
    return None


def _only_element(value: Any) -> int | float | bool | None:
    element = value.item() if hasattr(value, "item") else value.numpy().item()
    if isinstance(element, bool | int | float):
        return element
    return float(element) if hasattr(element, "__float__") else None
