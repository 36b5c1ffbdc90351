"""Functions of other people's modules replaced by ones that call them, and put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MARK = "_rankzero_original"


def replace(owner: Any, name: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> bool:
    """Put `around(original)` in the place of `owner.name`; once, however often it is asked for.

    Args:
        owner: a module or class.
        name: of a function in it.
        around: makes the replacement, which looks like the original to everyone.

    Returns:
        Whether there is such a function.
    """
    original = owner.__dict__.get(name)
    if not callable(original):
        return False
    if hasattr(original, _MARK):
        return True
    replacement = around(original)
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(replacement, attribute, getattr(original, attribute, None))
    replacement.__wrapped__ = original  # type: ignore[attr-defined]
    setattr(replacement, _MARK, original)
    setattr(owner, name, replacement)
    return True


def restore(owner: Any, name: str) -> None:
    """Put the original back."""
    original = getattr(owner.__dict__.get(name), _MARK, None)
    if original is not None:
        setattr(owner, name, original)
