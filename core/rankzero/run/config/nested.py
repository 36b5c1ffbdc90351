"""Nested mappings to flat ones with dotted names."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

DEEPEST = 64
"""Levels that are flattened at most; what lies deeper stays a mapping."""


def flatten(nested: Mapping[Any, Any], sep: str = ".") -> dict[str, Any]:
    """One flat dict of a nested one: `{"a": {"b": 1}}` becomes `{"a.b": 1}`.

    Lists and empty mappings are values. Nothing is lost: where two paths give one name, the later is marked, "a.b <2>".
    """
    flat: dict[str, Any] = {}
    for name, value in _leaves(nested, "", sep, []):
        flat[unique(name, flat)] = value
    return flat


def unique(name: str, taken: Container[str], hint: str = "") -> str:
    """`name` if it is not taken, else `name` marked with `hint` or a number so that it is not."""
    if name not in taken:
        return name
    if hint and f"{name} <{hint}>" not in taken:
        return f"{name} <{hint}>"
    count = 2
    while f"{name} <{hint} {count}>".replace("< ", "<") in taken:
        count += 1
    return f"{name} <{hint} {count}>".replace("< ", "<")


def _leaves(nested: Mapping[Any, Any], prefix: str, sep: str, path: list[int]) -> Iterator[tuple[str, Any]]:
    path.append(id(nested))
    for key, value in nested.items():
        name = f"{prefix}{key}"
        if not isinstance(value, Mapping) or not value or len(path) >= DEEPEST:
            yield name, value
        elif id(value) in path:
            yield name, "<cycle>"
        else:
            yield from _leaves(value, f"{name}{sep}", sep, path)
    path.pop()
