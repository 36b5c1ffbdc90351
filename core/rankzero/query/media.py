"""What was logged besides numbers: texts, histograms, images and files."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

from rankzero.query.writer import Writer
from rankzero.records import Histogram, Media, Text

Logged = Text | Histogram | Media


def media(writers: Iterable[Writer]) -> dict[str, dict[str, Any]]:
    """Per key its kind (text, histogram, image, file), how often it was logged, and the last step."""
    found: dict[str, dict[str, Any]] = {}
    for writer in writers:
        for record in _logged(writer):
            entry = found.setdefault(record.key, {"kind": kind_of(record), "count": 0, "last_step": record.step})
            entry["count"] += 1
            entry["last_step"] = max(entry["last_step"], record.step)
    return found


def media_points(writers: Iterable[Writer], key: str) -> dict[str, Any]:
    """Everything logged under a key in order of step: arrays `step value time rank attempt`, values as JSON objects."""
    found = [(record, writer) for writer in writers for record in _logged(writer) if record.key == key]
    found.sort(key=lambda pair: pair[0].step)
    local = any(record.local for record, _ in found)
    return {
        "scope": "local" if local else "global",
        "x_axis": "step",
        "step": [record.step for record, _ in found],
        "value": [value_of(record) for record, _ in found],
        "time": array("d", [writer.wall(record.t) for record, writer in found]),
        "rank": [writer.rank for _, writer in found],
        "attempt": [writer.start.attempt for _, writer in found],
    }


def kind_of(record: Logged) -> str:
    """The kind of thing that was logged, in one word."""
    return record.type if isinstance(record, Media) else type(record).__name__.lower()


def value_of(record: Logged) -> Any:
    """A text as it is, anything else as the fields that describe it."""
    if isinstance(record, Text):
        return record.value
    if isinstance(record, Histogram):
        names: tuple[str, ...] = ("edges", "counts", "sampled", "nonfinite")
    else:
        names = ("type", "path", "caption", "index", "size", "sha256", "info")
    return {name: getattr(record, name) for name in names}


def _logged(writer: Writer) -> list[Logged]:
    return [record for record in writer.records if isinstance(record, (Text, Histogram, Media))]
