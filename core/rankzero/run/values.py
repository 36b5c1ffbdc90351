"""Logged values that are not plain numbers: kept safe in the training thread, sorted out in the writer thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rankzero import records
from rankzero.errors import warn_once
from rankzero.run.snapshot import snapshot

PLAIN = frozenset({int, float, bool})
"""Types whose values go into a row as they are."""

Written = tuple[records.Record, bytes | None]
"""A record and, for media, the content of its file."""


class Mixed(dict[Any, Any]):
    """A row with values that are not plain numbers, each already safe from later changes by the user."""


class Waiting:
    """A mixed row that waits until its device values have arrived."""

    __slots__ = ("force", "local", "row", "step", "t")

    def __init__(self, t: int, step: int, row: Mixed, *, local: bool) -> None:
        self.t = t
        self.step = step
        self.row = row
        self.local = local
        self.force = False

    def ready(self) -> bool:
        """Whether every value can be read without waiting."""
        return all(value.ready() for value in self.row.values() if hasattr(value, "ready"))


def mixed(data: Any) -> Mixed | None:
    """A safe copy of what was logged; None with one warning if it is no mapping."""
    if not isinstance(data, Mapping):
        warn_once(
            "log type", f"log() takes a dict of names to values, not a {type(data).__name__}; the call was ignored"
        )
        return None
    return Mixed({key: value if type(value) in PLAIN else snapshot(value) for key, value in data.items()})


def sort_out(row: Mixed, *, t: int, step: int, local: bool) -> tuple[dict[str, float], list[Written]]:
    return {}, []
