"""How values stand in the JSON that rankzero prints: strict JSON that any parser takes.

NaN and infinities, which JSON lacks, are the strings "NaN", "Infinity" and "-Infinity". Points in time are ISO 8601 in UTC
with milliseconds, except in series, where they are seconds since the epoch.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec


def iso(seconds: float | None) -> str | None:
    """A time in seconds since the epoch as text, None for none."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """`value` with everything that JSON lacks spelled."""
    if isinstance(value, float):
        return value if math.isfinite(value) else _spelled(value)
    if isinstance(value, array):
        return plain_array(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def plain_array(values: array[Any]) -> list[Any]:
    """The values of an array with NaN and infinities spelled."""
    if values.typecode != "d" or math.isfinite(sum(values)):
        return values.tolist()
    return [value if math.isfinite(value) else _spelled(value) for value in values]


def dumps(document: Any, *, indent: bool = False) -> str:
    """`document` as JSON text.

    Raises:
        TypeError: it holds something that is no JSON value.
    """
    encoded = msgspec.json.encode(plain(document))
    return (msgspec.json.format(encoded, indent=2) if indent else encoded).decode()


def _spelled(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
