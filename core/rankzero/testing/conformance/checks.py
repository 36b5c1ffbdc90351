"""What is true of every run that an integration recorded."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from rankzero.records import Capture, End, Environment, Event, Histogram, Media, Meta, Phase, Record, Text
from rankzero.testing.recorded import Recorded

OWN = (Event, Phase, Capture, Environment, End)
"""Records that are about the process that writes them."""

TOLERANCE = 1e-3
"""Of a recorded loss, relative: a framework may round what it tells its loggers."""


def assert_once(found: Recorded, repeats: frozenset[str] = frozenset()) -> None:
    """Nothing but `repeats` was recorded twice: no value of a step in an attempt, and no quantity by two integrations."""
    for attempt in found.attempts:
        for key, by_rank in attempt.series.items():
            for rank, points in by_rank.items() if key not in repeats else ():
                twice = [step for step, times in Counter(step for step, _ in points).items() if times > 1]
                assert not twice, f"{key!r} has several values at steps {twice} of rank {rank}"
    owners = defaultdict(set)
    for record in found.records:
        if isinstance(record, Capture) and record.outcome == "recorded":
            owners[record.what].add(record.by)
    assert {what: by for what, by in owners.items() if len(by) > 1} == {}, "recorded by several integrations"


def assert_only_own(found: Recorded) -> None:
    """What stands for the job was written by rank zero; the other ranks wrote about themselves."""
    for key, by_rank in found.series.items():
        ranks = set(by_rank) if key not in found.local else {0}
        assert ranks == {0}, f"{key!r} stands for the job, and ranks {sorted(ranks)} wrote it"
    for rank, record in found.writers:
        assert not rank or _is_own(record), f"rank {rank} wrote what is for rank zero to write: {record}"


def _is_own(record: Record) -> bool:
    """Whether a record is about the process that wrote it."""
    if isinstance(record, Meta):  # the devices that it uses
        return record == Meta(devices=record.devices, device_kind=record.device_kind)
    return record.local if isinstance(record, Text | Histogram | Media) else isinstance(record, OWN)


def assert_losses(found: Recorded, metric: str, result: Any, count: int) -> None:
    """The metric has a value for every step, those that the program saw if it tells."""
    values = [value for _, value in sorted(found.series[metric][0])] if metric in found.series else []
    assert len(values) == count, (
        f"{metric!r} at steps {found.steps(metric)}, expected {count} of {sorted(found.series)}"
    )
    told = result.get("loss") if isinstance(result, dict) else None
    if told is not None:
        off = [
            (mine, theirs)
            for mine, theirs in zip(values, told, strict=True)
            if abs(mine - theirs) > TOLERANCE * max(1.0, abs(theirs))
        ]
        assert not off, f"{metric!r} as recorded and as the program saw it: {off}"
