"""Rows with values that are not plain numbers, kept safe from whatever the training does next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rankzero.errors import guard, guarded, warn_once

PLAIN = frozenset({int, float, bool})
"""Types whose values go into a row as they are."""


class Mixed(dict[Any, Any]):
    """A row with values that are not plain numbers, each already safe from later changes by the user."""


class Waiting:
    """A mixed row that waits until its device values have arrived."""

    __slots__ = ("aside", "local", "row", "step", "t")

    def __init__(self, t: int, step: int, row: Mixed, *, local: bool, aside: bool) -> None:
        self.t = t
        self.step = step
        self.row = row
        self.local = local
        self.aside = aside

    def ready(self) -> bool:
        """Whether every value can be read without waiting; a value that cannot say is read."""
        return all(map(_is_ready, self.row.values()))

    def give_up(self) -> None:
        """Leave out, and name, what has not arrived."""
        for key in [key for key, value in self.row.items() if not _is_ready(value)]:
            del self.row[key]
            warn_once(f"late {key}", f"{str(key)!r} had not arrived when the run ended and was not recorded")


def mixed(data: Any) -> Mixed | None:
    """A safe copy of what was logged; None with one warning if it is no mapping."""
    if not isinstance(data, Mapping):
        warn_once(
            "log type", f"log() takes a dict of names to values, not a {type(data).__name__}; the call was ignored"
        )
        return None
    return Mixed({key: value if _is_safe(type(value)) else _snapshot(value) for key, value in data.items()})


def _is_safe(kind: type) -> bool:
    """Whether it is a plain number or a value that comes later, of which nothing is kept but itself."""
    return kind in PLAIN or (hasattr(kind, "ready") and hasattr(kind, "value"))


@guarded("taking a logged value")
def _snapshot(value: Any) -> Any:
    from rankzero.run.values.snapshot import snapshot

    return snapshot(value)


def _is_ready(value: Any) -> bool:
    if type(value) is dict:
        return all(map(_is_ready, value.values()))
    if hasattr(value, "ready"):
        with guard("asking for a logged value"):
            return bool(value.ready())
    return True
