"""Rows that share their columns, one array per column."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rankzero.journal.reader import Row
from rankzero.records.codec import NONFINITE

_WORD = 2**63


@dataclass(slots=True)
class Table:
    """Metric rows of one writer with the same keys; values are double precision. `local`, `aside`: see `records.Columns`.

    `steps` and `times` (microseconds since the journal's start) have one entry per row, `values[i]` those of `keys[i]`.
    """

    keys: tuple[str, ...]
    local: bool
    aside: bool = False
    steps: array[int] = field(default_factory=lambda: array("q"))
    times: array[int] = field(default_factory=lambda: array("q"))
    values: list[array[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.values:
            self.values = [array("d") for _ in self.keys]

    def __len__(self) -> int:
        return len(self.steps)

    def extend(self, rows: Sequence[Row]) -> None:
        """Append rows, each with as many values as there are keys."""
        if not rows:
            return
        _, steps, times, *values = zip(*rows, strict=True)
        try:
            more = array("q", steps), array("q", times)
        except OverflowError:
            self.extend([row for row in rows if -_WORD <= row[1] < _WORD and -_WORD <= row[2] < _WORD])
            return
        self.steps.extend(more[0])
        self.times.extend(more[1])
        for column, given in zip(self.values, values, strict=True):
            column.extend(_doubles(given))

    def column(self, key: str) -> array[float]:
        """The values of one key."""
        return self.values[self.keys.index(key)]


def _doubles(values: Sequence[Any]) -> array[float]:
    try:
        return array("d", values)
    except (TypeError, OverflowError):
        return array("d", map(_double, values))


def _double(value: Any) -> float:
    if isinstance(value, str):
        return NONFINITE.get(value, math.nan)
    if value is None:
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
