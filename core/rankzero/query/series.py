"""The points of one metric, from all writers of a run.

Everything that was logged is kept: repeated values of a step, values out of order, NaN and infinities. Only across attempts
does a value give way: where a later attempt logged the same step of the same rank again (it went on from an older
checkpoint), the earlier value is superseded and shown on demand.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from rankzero.query.table import Table
from rankzero.query.writer import Writer
from rankzero.records.parts import combine, split

_MICRO = 1e6


@dataclass(frozen=True, slots=True)
class Part:
    """What one table of one writer holds of a metric: times in microseconds since the writer's start."""

    writer: Writer
    steps: array[int]
    times: array[int]
    values: array[float]
    local: bool
    aside: bool = False

    @property
    def identity(self) -> tuple[int, int]:
        """Attempt and rank."""
        return self.writer.start.attempt, self.writer.rank


@dataclass(frozen=True, slots=True)
class Series:
    """One metric: five arrays of the same length, in order of step, then attempt, rank and the order of logging.

    `time` is in seconds since the epoch; `scope` is "local" if the values are single ranks' own, else "global".
    """

    key: str
    scope: str
    step: array[int]
    value: array[float]
    time: array[float]
    rank: array[int]
    attempt: array[int]

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True, slots=True)
class Metric:
    """Statistics of one metric over its current points; min, max and mean are over finite values, None if there are none.

    `last` is the value at the highest step, `first` the one at the lowest; of several ranks the lowest one's.
    """

    count: int
    min: float | None
    max: float | None
    mean: float | None
    first: float
    last: float
    last_step: int
    scope: str

    def document(self) -> dict[str, Any]:
        """These statistics as they stand in JSON."""
        kept = ("count", "min", "max", "mean", "last", "last_step", "scope")
        return {name: getattr(self, name) for name in kept}


def index(writers: Iterable[Writer]) -> dict[str, list[Part]]:
    """Where each metric is found, in order of attempt and rank; metrics in the order in which they first appear."""
    parts: dict[str, list[Part]] = defaultdict(list)
    for writer in writers:
        for table in writer.tables:
            if len(table):
                for key, values in zip(table.keys, table.values, strict=True):
                    parts[key].append(_part(writer, table, values))
    for (metric, _), divided in _divided(parts).items():
        whole = _whole(divided)
        if whole.steps:
            parts[metric].append(whole)
    return {key: sorted(_by_the_program(found), key=lambda part: part.identity) for key, found in parts.items()}


def _divided(parts: dict[str, list[Part]]) -> dict[tuple[str, int], list[tuple[str, Part]]]:
    """What ranks recorded parts of, metric and attempt, with those parts by rule; see `rankzero.records.parts`."""
    found: dict[tuple[str, int], list[tuple[str, Part]]] = defaultdict(list)
    for key, its in parts.items():
        named = split(key)
        if named is not None:
            metric, rule = named
            for part in its:
                found[metric, part.writer.start.attempt].append((rule, part))
    return found


def _whole(divided: list[tuple[str, Part]]) -> Part:
    """What the ranks' parts of a metric add up to, in one attempt, at the steps at which there are all of them."""
    first = min((part.writer for _, part in divided), key=lambda writer: writer.rank)
    times: dict[int, int] = {}
    points: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    for rule, part in divided:
        points[rule, part.writer.rank].update(zip(part.steps, part.values, strict=True))
        if part.writer is first:
            times.update(zip(part.steps, part.times, strict=True))
    steps = array("q", (step for step in times if all(step in its for its in points.values())))
    values = array("d")
    for step in steps:
        by_rule: dict[str, list[float]] = defaultdict(list)
        for (rule, _), its in points.items():
            by_rule[rule].append(its[step])
        values.append(combine(by_rule))
    return Part(first, steps, array("q", map(times.__getitem__, steps)), values, local=False, aside=True)


def _by_the_program(parts: list[Part]) -> list[Part]:
    """Without what an integration recorded for the job in attempts in which the program logged the same metric itself."""
    itself = {part.writer.start.attempt for part in parts if not (part.aside or part.local)}
    return [part for part in parts if part.local or not part.aside or part.writer.start.attempt not in itself]


def series(key: str, parts: Sequence[Part], *, superseded: bool = False) -> Series:
    """The points of a metric, with those that a later attempt replaced if `superseded`."""
    kept = list(parts) if superseded else current(parts)
    steps, values, times = array("q"), array("d"), array("d")
    ranks, attempts = array("q"), array("q")
    for part in kept:
        size = len(part.steps)
        attempt, rank = part.identity
        steps.extend(part.steps)
        values.extend(part.values)
        times.extend(map(part.writer.start.wall.__add__, map(_MICRO.__rtruediv__, part.times)))
        ranks.extend(array("q", [rank]) * size)
        attempts.extend(array("q", [attempt]) * size)
    columns: tuple[Any, ...] = (steps, values, times, ranks, attempts)
    if any(map(int.__gt__, steps, memoryview(steps)[1:])):
        order = sorted(range(len(steps)), key=steps.__getitem__)
        columns = tuple(array(column.typecode, map(column.__getitem__, order)) for column in columns)
    return Series(key, scope_of(parts), *columns)


def metric(parts: Sequence[Part]) -> Metric | None:
    """Statistics of a metric's current points, None if it has none."""
    kept = [part for part in current(parts) if part.steps]
    if not kept:
        return None
    finite = [_finite(part.values) for part in kept]
    present = [values for values in finite if values]
    first, last = _first(kept), _last(kept)
    return Metric(
        count=sum(len(part.steps) for part in kept),
        min=min(map(min, present), default=None),
        max=max(map(max, present), default=None),
        mean=_mean(present),
        first=first[1],
        last=last[1],
        last_step=last[0],
        scope=scope_of(parts),
    )


def scope_of(parts: Sequence[Part]) -> str:
    """Either "local", if any of a metric's values are a single rank's own, or "global"."""
    return "local" if any(part.local for part in parts) else "global"


def current(parts: Sequence[Part]) -> list[Part]:
    """The parts without the points that a later attempt logged again (same rank, same step)."""
    if len({part.writer.start.attempt for part in parts}) < 2:  # noqa: PLR2004 - nothing to compare
        return list(parts)
    later: dict[int, set[int]] = defaultdict(set)
    kept: list[Part] = []
    of_attempt: dict[int, list[Part]] = defaultdict(list)
    for part in parts:
        of_attempt[part.writer.start.attempt].append(part)
    for attempt in sorted(of_attempt, reverse=True):
        kept.extend(_without(part, later[part.writer.rank]) for part in of_attempt[attempt])
        for part in of_attempt[attempt]:
            later[part.writer.rank].update(part.steps)
    return sorted(kept, key=lambda part: part.identity)


def _without(part: Part, steps: set[int]) -> Part:
    if steps.isdisjoint(part.steps):
        return part
    keep = [i for i, step in enumerate(part.steps) if step not in steps]
    return replace(
        part,
        steps=array("q", map(part.steps.__getitem__, keep)),
        times=array("q", map(part.times.__getitem__, keep)),
        values=array("d", map(part.values.__getitem__, keep)),
    )


def _part(writer: Writer, table: Table, values: array[float]) -> Part:
    return Part(writer, table.steps, table.times, values, table.local, table.aside)


def _finite(values: array[float]) -> array[float]:
    if math.isfinite(sum(values)):
        return values
    return array("d", filter(math.isfinite, values))


def _mean(parts: Sequence[array[float]]) -> float | None:
    count = sum(map(len, parts))
    if not count:
        return None
    try:
        return math.fsum(chain.from_iterable(parts)) / count
    except OverflowError:
        return math.fsum(value / count for value in chain.from_iterable(parts))


def _first(parts: Sequence[Part]) -> tuple[int, float]:
    """The lowest step and its value: of the lowest rank that has it, logged first in the earliest attempt."""
    step = min(min(part.steps) for part in parts)
    found = [(part, part.steps.index(step)) for part in parts if step in part.steps]
    part, at = min(found, key=lambda pair: (pair[0].writer.rank, pair[0].writer.start.attempt, pair[0].times[pair[1]]))
    return step, part.values[at]


def _last(parts: Sequence[Part]) -> tuple[int, float]:
    """The highest step and its value: of the lowest rank that has it, logged last in the latest attempt."""
    step = max(max(part.steps) for part in parts)
    found = [(part, _last_index(part.steps, step)) for part in parts if step in part.steps]
    part, at = min(
        found, key=lambda pair: (pair[0].writer.rank, -pair[0].writer.start.attempt, -pair[0].times[pair[1]])
    )
    return step, part.values[at]


def _last_index(steps: array[int], step: int) -> int:
    at = len(steps) - 1
    while steps[at] != step:
        at -= 1
    return at
