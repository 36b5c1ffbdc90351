"""Curves drawn with characters."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from rankzero.cli.plot import braille, shares, sparkline

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def _dots(lines: list[str]) -> set[tuple[int, int]]:
    """The dots that are set, (0, 0) at the top left."""
    return {
        (2 * column + x, 4 * row + y)
        for row, line in enumerate(lines)
        for column, cell in enumerate(line)
        for y in range(4)
        for x in range(2)
        if (ord(cell) - 0x2800) & _DOTS[y][x]
    }


def test_a_rising_line() -> None:
    """A straight line is a diagonal of dots."""
    assert braille([0, 1, 2, 3], [0, 1, 2, 3], 2, 1) == ["⡠⠊"]
    assert _dots(braille(range(8), range(8), 4, 2)) == {(i, 7 - i) for i in range(8)}


def test_a_single_spike_among_many_points_is_seen() -> None:
    """However many points share a column, its least and greatest are drawn."""
    values = [0.0] * 100_000
    values[61_234] = 1.0
    dots = _dots(braille(range(100_000), values, 20, 5))
    assert min(y for _, y in dots) == 0
    assert [x for x, y in dots if y == 0] == [round(61_234 / 99_999 * 39)]


def test_what_cannot_be_drawn() -> None:
    """Nothing, constants and values that are not finite give a picture all the same."""
    assert braille([], [], 3, 2) == ["⠀⠀⠀"] * 2
    assert braille([1], [math.nan], 3, 2) == ["⠀⠀⠀"] * 2
    assert len(_dots(braille([5], [7], 3, 2))) == 1
    assert len({y for _, y in _dots(braille([1, 2, 3], [4, 4, 4], 3, 2))}) == 1
    assert _dots(braille([0, 1, 2], [0, math.inf, 1], 2, 1)) == _dots(braille([0, 2], [0, 1], 2, 1))


@given(
    st.lists(st.tuples(st.floats(-1e300, 1e300), st.floats()), max_size=60),
    st.integers(1, 30),
    st.integers(1, 8),
)
def test_any_points_fit(points: list[tuple[float, float]], width: int, height: int) -> None:
    """Whatever the values, the picture has its size, and every column with a point is marked."""
    lines = braille([x for x, _ in points], [y for _, y in points], width, height)
    assert [len(line) for line in lines] == [width] * height
    assert bool(_dots(lines)) == any(math.isfinite(y) for _, y in points)


def test_sparkline() -> None:
    """Eight heights, means where there are too many values, a given scale where ranks are compared."""
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 0, 7, 7], 2) == "▁█"
    assert sparkline([1, math.nan, 1], 9) == "▅▅"
    assert sparkline([1, 20], 9, 0, 2) == "▅█"
    assert sparkline([], 9) == ""


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=9), st.integers(1, 100))
def test_shares_sum_to_the_width(parts: list[float], width: int) -> None:
    """The parts of a bar fill it exactly, and none is off by more than one character."""
    cells = shares(parts, width)
    total = math.fsum(parts)
    assert sum(cells) == (width if total > 0 else 0)
    assert all(abs(cell - part / total * width) <= 1 for cell, part in zip(cells, parts, strict=True) if total > 0)
