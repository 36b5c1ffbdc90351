"""A run as the JSON documents that the command line prints; their schemas are in docs/schema."""

from __future__ import annotations

from typing import Any

import msgspec

from rankzero.query.media import media_points
from rankzero.query.runs import RunView
from rankzero.query.strictjson import iso


def listing(view: RunView) -> dict[str, Any]:
    """A run's entry in the list of runs."""
    attempt = view.last_attempt
    return {
        "id": view.id,
        "project": view.project,
        "name": view.name,
        "state": view.state,
        "created_at": iso(view.created),
        "ended_at": iso(view.ended),
        "exit_code": view.exit_code,
        "world_size": attempt.world_size,
        "nodes": attempt.nodes,
        "attempts": len(view.attempts),
        "launcher": attempt.launcher,
        "group": view.meta.get("group"),
        "job_type": view.meta.get("job_type"),
        "tags": view.meta.get("tags") or [],
        "notes": view.meta.get("notes"),
        "user": view.meta.get("user"),
        "dir": str(view.folder.path),
        "config": view.config,
        "summary": view.summary,
        "usage": view.usage.to_json(),
    }


def details(view: RunView) -> dict[str, Any]:
    """Everything about a run but its points."""
    failure, slowest = view.first_failure, view.slowest
    return {
        **listing(view),
        "metrics": {key: metric.document() for key, metric in view.metrics.items()},
        "media": view.media,
        "ranks": [rank.document() for rank in view.ranks],
        "slowest_rank": None if slowest is None else slowest.rank,
        "first_failure": None if failure is None else failure.document(),
        "environment": view.environment,
        "files": view.files,
        "warnings": view.warnings,
        "capture": [msgspec.structs.asdict(line) for line in view.capture],
        "attempts_detail": [attempt.document() for attempt in view.attempts],
    }


def points(view: RunView, key: str, *, rank: int | None = None, superseded: bool = False) -> dict[str, Any]:
    """The points of one metric, of one rank if given: the arrays `step value time rank attempt`, and `x` if it has an axis.

    Raises:
        KeyError: the run has no such metric.
    """
    if key not in view.parts and key in view.media:
        return _of_rank(media_points(view.writers, key), rank)
    found = view.series(key, superseded=superseded)
    columns: dict[str, Any] = {
        "step": found.step,
        "value": found.value,
        "time": found.time,
        "rank": found.rank,
        "attempt": found.attempt,
    }
    axis = view.axis(found)
    if axis is not None:
        columns["x"] = axis[1]
    return _of_rank({"scope": found.scope, "x_axis": "step" if axis is None else axis[0], **columns}, rank)


def _of_rank(columns: dict[str, Any], rank: int | None) -> dict[str, Any]:
    """The points of one rank, or all if None."""
    if rank is None:
        return columns
    keep = [index for index, own in enumerate(columns["rank"]) if own == rank]
    return {
        name: column if isinstance(column, str) else [column[index] for index in keep]
        for name, column in columns.items()
    }
