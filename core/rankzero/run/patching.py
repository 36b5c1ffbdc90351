"""Functions of other people's modules replaced by ones that call them, and put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Around = Callable[[Callable[..., Any]], Callable[..., Any]]

_ORIGINAL = "_rankzero_original"
_MAKER = "_rankzero_maker"


def replace(owner: Any, name: str, around: Around) -> bool:
    """Put `around(original)` in the place of `owner.name`; once for each `around`, however often it is asked for.

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
    maker = _place(around)
    inner = original
    while hasattr(inner, _ORIGINAL):
        if getattr(inner, _MAKER) == maker:
            return True
        inner = getattr(inner, _ORIGINAL)
    replacement = around(original)
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(replacement, attribute, getattr(original, attribute, None))
    for attribute, value in {"__wrapped__": original, _ORIGINAL: original, _MAKER: maker}.items():
        setattr(replacement, attribute, value)
    setattr(owner, name, replacement)
    return True


def restore(owner: Any, name: str) -> None:
    """Put the original back, whoever replaced it."""
    found = owner.__dict__.get(name)
    while hasattr(found, _ORIGINAL):
        found = getattr(found, _ORIGINAL)
        setattr(owner, name, found)


def _place(around: Around) -> tuple[str, str]:
    """Where in the source `around` stands: two integrations may replace the same function."""
    return around.__module__, getattr(around, "__qualname__", type(around).__qualname__)
