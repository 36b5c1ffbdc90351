"""Curves drawn with characters: braille dots for a plot, block elements for a sparkline or a bar.

A plot is as exact as its dots: in each column of dots it covers everything from the least to the greatest value that falls
there, so that no spike is lost however many points there are.
"""

from __future__ import annotations

import itertools
import math
import operator
from bisect import bisect_left
from collections.abc import Iterator, Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_EMPTY = 0x2800


class _Canvas:
    """Braille cells of two by four dots; (0, 0) is the dot at the top left."""

    def __init__(self, width: int, height: int) -> None:
        self._cells = [[_EMPTY] * width for _ in range(height)]

    def column(self, x: int, one: int, other: int) -> None:
        """Set the dots from one row to another."""
        for y in range(min(one, other), max(one, other) + 1):
            self._cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]

    def lines(self) -> list[str]:
        return ["".join(map(chr, cells)) for cells in self._cells]


def braille(x: Sequence[float], y: Sequence[float], width: int, height: int) -> list[str]:
    """A curve as `height` lines of `width` characters; points that are not finite leave gaps.

    Args:
        x: positions, in any order.
        y: values, as many.
        width: characters of a line.
        height: lines.
    """
    canvas = _Canvas(width, height)
    x, y = _in_order(x, y)
    if not x:
        return canvas.lines()
    rows = height * 4 - 1
    low, high = min(y), max(y)

    def row(value: float) -> int:
        return rows - round(_share(value, low, high) * rows)

    before: tuple[int, int] | None = None
    for column, part in _columns(x, y, width * 2):
        if before is not None:
            _join(canvas, before, (column, row(part[0])))
        canvas.column(column, row(max(part)), row(min(part)))
        before = (column, row(part[-1]))
    return canvas.lines()


def sparkline(values: Sequence[float], width: int, low: float | None = None, high: float | None = None) -> str:
    """Values as blocks of eight heights, means of equal shares of them if there are more than `width`.

    Args:
        values: what to draw; what is not finite is left out.
        width: characters at most.
        low: the value at the bottom, the least one if left out.
        high: the value at the top, the greatest one if left out.
    """
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) > width:
        edges = [index * len(finite) // width for index in range(width + 1)]
        finite = [math.fsum(finite[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    if not finite:
        return ""
    most = len(BLOCKS) - 1
    bottom, top = min(finite) if low is None else low, max(finite) if high is None else high
    return "".join(BLOCKS[max(0, min(most, round(_share(value, bottom, top) * most)))] for value in finite)


def shares(parts: Sequence[float], width: int) -> list[int]:
    """How many of `width` characters each part gets, so that they sum to `width` and no error exceeds one character."""
    total = math.fsum(parts)
    if total <= 0:
        return [0] * len(parts)
    edges, done = [0], 0.0
    for part in parts:
        done += part
        edges.append(round(done / total * width))
    return [b - a for a, b in itertools.pairwise(edges)]


def _in_order(x: Sequence[float], y: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """The points that are finite, in order of x."""
    if math.isfinite(sum(x)) and math.isfinite(sum(y)) and not any(map(operator.gt, x, itertools.islice(x, 1, None))):
        return x, y
    points = sorted((px, py) for px, py in zip(x, y, strict=True) if math.isfinite(px) and math.isfinite(py))
    return [px for px, _ in points], [py for _, py in points]


def _columns(x: Sequence[float], y: Sequence[float], count: int) -> Iterator[tuple[int, Sequence[float]]]:
    """The values that fall into each of `count` columns, empty ones left out."""
    span = x[-1] - x[0]
    start = 0
    for column in range(count):
        right = x[0] + (column + 0.5) / (count - 1) * span
        end = bisect_left(x, right, lo=start) if span and column < count - 1 else len(x)
        if end > start:
            yield column, y[start:end]
        start = end


def _share(value: float, low: float, high: float) -> float:
    """Where a value lies between two others, from 0 to 1; in the middle if they are the same or too far apart to tell."""
    span = high - low
    return 0.5 if span == 0 or not math.isfinite(span) else (value - low) / span


def _join(canvas: _Canvas, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Draw from one dot to another, in a later column; a steep line is split between neighbouring columns."""
    (x0, y0), (x1, y1) = start, end
    before = y0
    for x in range(x0 + 1, x1 + 1):
        y = round(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
        toward = 1 if y > before else -1
        middle = (before + y) // 2
        canvas.column(x - 1, before, before if abs(y - before) <= 1 else middle)
        canvas.column(x, y, y if abs(y - before) <= 1 else middle + toward)
        before = y
