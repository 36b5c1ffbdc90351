"""Any config object as nested plain data: what can be kept exactly is, everything else is readable and marked.

A mark is a text in angle brackets where the value would stand, or at the end of what is left of it:
`<torch.Tensor shape=(3, 4) float32>`, `<function train.schedule>`, `<class torch.optim.AdamW>`, `<cycle: dict>`, `<too deep: list>`,
`<unreadable: KeyError>`, `The beginning of a long text<truncated: 1048576 characters>`, and the entry `"<truncated>": "<90000 more>"`.

Unmarked, since nothing is lost to a reader: enums by their text or name, paths, dates and ids as their text, sets as sorted lists,
tuples as lists, numbers of any library as numbers, NaN and infinities as "NaN", "Infinity" and "-Infinity", integers beyond 64 bits
as their digits, keys that are no texts as their text (where that is taken, marked with the key's type: `"1 <int>"`).
"""

from __future__ import annotations

import enum
import math
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

from rankzero.run.config.config_objects import Entries, as_text, attributes, entries, from_file, read
from rankzero.run.config.nested import flatten, unique
from rankzero.run.values.scalars import is_array, scalar

__all__ = ["flatten", "plain"]

LONGEST_TEXT = 10_000
LONGEST_KEY = 200
MOST_ENTRIES = 10_000
DEEPEST = 32
MOST_CHARACTERS = 4_000_000
"""A whole config, each entry counted as sixteen characters more."""

_ENTRY_COST = 16
_LARGEST_INT = 2**63 - 1
_MOST_DIGITS_BITS = 4_000
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_CONTAINERS = (Mapping, list, tuple, AbstractSet, deque, Sequence)


def plain(value: Any) -> dict[str, Any]:
    """Any config as a nested dict of JSON values; never raises.

    Args:
        value: a dict, dataclass, pydantic or attrs object, OmegaConf, argparse namespace, absl flags, the path of a YAML or
            JSON file, or any object or class with attributes. Anything else stands under the key "config".

    What cannot be kept exactly is marked as the module's docstring says. Size, depth and number of entries are bounded.
    """
    if value is None:
        return {}
    converted = read(_converted, value)
    return converted if isinstance(converted, dict) else {"config": converted}


class _Walk:
    """One conversion: where it is, and how much more it may keep."""

    def __init__(self) -> None:
        self._left = MOST_CHARACTERS
        self._path: list[int] = []

    def value(self, value: Any, *, outermost: bool = False) -> Any:
        """`value` as JSON data."""
        self._left -= _ENTRY_COST
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        if kind is str:
            return self._text(value)
        if kind is float or kind is int:
            return _number(value)
        return read(self._other, value, outermost)

    def _other(self, value: Any, outermost: bool) -> Any:
        if outermost and isinstance(value, type):
            return self._nest(value, lambda: self._mapping(attributes(value)))
        text = as_text(value)
        if text is not None:
            return self._text(text)
        return self._container(value) if isinstance(value, _CONTAINERS) else self._object(value, outermost)

    def _object(self, value: Any, outermost: bool) -> Any:
        found = entries(value)
        if found is not None:
            return self._nest(value, lambda: self._mapping(found))
        number = scalar(value)
        if number is not None:
            return _number(number)
        if is_array(value):
            return self._text(_array(value))
        if outermost or _says_nothing(type(value)):
            data = self._nest(value, lambda: self._mapping(attributes(value)))
            if data or outermost:
                return data
        return self._text(_mark(_ADDRESS.sub("", repr(value))))

    def _container(self, value: Any) -> Any:
        if isinstance(value, tuple) and (named := entries(value)) is not None:
            return self._nest(value, lambda: self._mapping(named))
        if isinstance(value, Mapping):
            return self._nest(value, lambda: self._mapping(_items(value), read(len, value)))
        if isinstance(value, AbstractSet):
            return self._nest(value, lambda: sorted(self._list(value), key=_order))
        return self._nest(value, lambda: self._list(value))

    def _nest(self, value: Any, convert: Callable[[], Any]) -> Any:
        """Convert something made of parts unless it holds itself or lies too deep."""
        if id(value) in self._path:
            return f"<cycle: {type(value).__name__}>"
        if len(self._path) >= DEEPEST:
            return f"<too deep: {type(value).__name__}>"
        self._path.append(id(value))
        try:
            return convert()
        finally:
            self._path.pop()

    def _mapping(self, found: Entries, size: Any = None) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in found:
            if len(kept) >= MOST_ENTRIES or self._left <= 0:
                more = f"{size - len(kept)} more" if isinstance(size, int) else "more"
                kept[unique("<truncated>", kept)] = f"<{more}>"
                break
            name = self._key(key)
            kept[unique(name, kept, type(key).__name__)] = self.value(value)
        return kept

    def _list(self, found: Iterable[Any]) -> list[Any]:
        kept: list[Any] = []
        for value in found:
            if len(kept) >= MOST_ENTRIES or self._left <= 0:
                size = read(len, found)
                kept.append(f"<truncated: {size - len(kept)} more>" if isinstance(size, int) else "<truncated>")
                break
            kept.append(self.value(value))
        return kept

    def _key(self, key: Any) -> str:
        text = key.name if isinstance(key, enum.Enum) and not isinstance(key, str) else read(str, key)
        return self._text(_ADDRESS.sub("", str(text)), LONGEST_KEY)

    def _text(self, text: str, longest: int = LONGEST_TEXT) -> str:
        if len(text) > longest:
            text = f"{text[:longest]}<truncated: {len(text)} characters>"
        if not text.isascii():
            text = text.encode("utf-8", "backslashreplace").decode("utf-8")
        self._left -= len(text)
        return text


def _converted(value: Any) -> Any:
    return _Walk().value(from_file(value) if isinstance(value, str | os.PathLike) else value, outermost=True)


def _says_nothing(kind: type) -> bool:
    """Whether objects of this class print as nothing but their class and address."""
    printer: object = kind.__repr__
    return printer is object.__repr__


def _items(mapping: Mapping[Any, Any]) -> Entries:
    if type(mapping) is dict:
        return list(islice(mapping.items(), MOST_ENTRIES + 1))
    return ((key, read(mapping.__getitem__, key)) for key in mapping)


def _number(number: float | bool) -> Any:
    if isinstance(number, float) and not math.isfinite(number):
        return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")
    if isinstance(number, int) and abs(number) > _LARGEST_INT:
        bits = number.bit_length()
        return str(number) if bits < _MOST_DIGITS_BITS else f"<int of {bits} bits>"
    return number


def _array(value: Any) -> str:
    kind = type(value)
    library = kind.__module__.split(".")[0].removesuffix("lib")
    name = "Array" if library == "jax" else kind.__name__
    shape = tuple(value.shape)
    if not shape:
        return _mark(f"{library}.{name} {_ADDRESS.sub('', str(value))}")
    dtype = str(getattr(value.dtype, "name", value.dtype)).removeprefix("torch.")
    device = getattr(getattr(value, "device", None), "type", "cpu")
    return f"<{library}.{name} shape={shape} {dtype}{'' if device == 'cpu' else f' on {device}'}>"


def _mark(text: str) -> str:
    return text if text.startswith("<") and text.endswith(">") else f"<{text}>"


def _order(converted: Any) -> tuple[bool, float, str]:
    """Numbers first and by size, then the rest by their text."""
    number = isinstance(converted, int | float)
    return (not number, converted if number else 0, str(converted))
