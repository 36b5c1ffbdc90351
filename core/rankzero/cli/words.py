"""Numbers, durations and times for people."""

from __future__ import annotations

import time
from typing import Any

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def number(value: Any) -> str:
    """A value in at most six significant digits; anything but a number as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e6):  # noqa: PLR2004 - beyond it, exponents
        return f"{int(value)}"
    return f"{value:.5g}"


def seconds(value: float | None) -> str:
    """A short time with the unit that suits it: 12.3 ms, 4.56 s."""
    if value is None:
        return "-"
    if abs(value) >= _MINUTE:
        return duration(value)
    if abs(value) >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.1f} ms" if abs(value) >= 1e-3 else f"{value * 1e6:.0f} µs"  # noqa: PLR2004 - a millisecond


def duration(value: float) -> str:
    """A long time: 42.1 s, 3 min 20 s, 5 h 7 min, 2 d 3 h."""
    whole = round(value)
    if whole < _MINUTE:
        return f"{value:.1f} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def hours(value: float) -> str:
    """Seconds as hours, precise enough to be added up by eye."""
    return f"{value / _HOUR:,.3f}" if value < 100 * _HOUR else f"{value / _HOUR:,.1f}"


def moment(when: float) -> str:
    """A point in time on this machine's clock and calendar."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))


def ago(when: float) -> str:
    """How long ago a point in time was."""
    passed = max(0.0, time.time() - when)
    return "now" if passed < 1 else f"{duration(passed)} ago"


def size(count: int) -> str:
    """Bytes with the unit that suits them."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:  # noqa: PLR2004 - the next unit
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def count(quantity: int, noun: str) -> str:
    """A number with its noun: 1 rank, 2 ranks."""
    return f"{quantity} {noun}" if quantity == 1 else f"{quantity} {noun}s"
