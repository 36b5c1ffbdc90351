"""From the events of a run to its usage: the attempts on one axis, each moment in its phase."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from rankzero.usage.alive import alive
from rankzero.usage.goodput import PHASES, course, partition, typical_step
from rankzero.usage.ledger import Attempt, Writer
from rankzero.usage.pieces import Span, length, outside, shifted, union, within
from rankzero.usage.places import DAY_S, in_order, midnight, offsets, positions
from rankzero.usage.totals import Usage, grouped, total

OVERLAP_S = 1.0
"""Attempts that run beside each other for longer than this are reported."""

_EVER: Span = (-math.inf, math.inf, "")


@dataclass(frozen=True, slots=True)
class Stretch:
    """One attempt, in seconds of its own axis.

    Attributes:
        attempt: the attempt.
        place: where its axis begins on the run's.
        alive: when at least one of its processes was alive.
        fresh: the part of `alive` that no earlier attempt covers.
        spans: `alive` by phase.
        doubles: alive time of each process that claimed a rank which another one had.
        warnings: what is odd about the attempt.
    """

    attempt: Attempt
    place: float
    alive: list[Span]
    fresh: list[Span]
    spans: list[Span]
    doubles: list[list[Span]]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run's attempts; the run's axis begins at the UTC midnight `origin`, in seconds since the epoch."""

    origin: int
    stretches: tuple[Stretch, ...]

    def total(self) -> Usage:
        """The usage of the run."""
        return total(_usage(stretch, stretch.fresh, _EVER) for stretch in self.stretches)

    def by_attempt(self) -> dict[int, Usage]:
        """The usage of each attempt by its number, all of its own time counted."""
        return grouped((stretch.attempt.number, _usage(stretch, stretch.alive, _EVER)) for stretch in self.stretches)

    def by_day(self) -> dict[str, Usage]:
        """The usage of the run by UTC day (`2026-11-30`), in order; the days sum to the total."""
        days = grouped(
            (day, _usage(stretch, stretch.fresh, (day * DAY_S, (day + 1) * DAY_S, "")))
            for stretch in self.stretches
            for day in sorted({day for span in shifted(stretch.alive, stretch.place) for day in _days(span)})
        )
        return {
            datetime.fromtimestamp(self.origin + day * DAY_S, UTC).date().isoformat(): days[day] for day in sorted(days)
        }


def timeline(attempts: Iterable[Attempt]) -> Timeline:
    """Place a run's attempts, given in any order, on one axis; an attempt in which nobody wrote is left out."""
    chosen = sorted((attempt for attempt in attempts if attempt.writers), key=lambda attempt: attempt.number)
    groups = [in_order(attempt) for attempt in chosen]
    if not chosen:
        return Timeline(0, ())
    origin = midnight(writers[0] for writers in groups)
    places = positions([writers[0] for writers in groups], origin)
    lives = [_placed(writers) for writers in groups]
    unions = [union(span for life in each for span in life) for each in lives]
    courses = [course(writers[0], own) for writers, own in zip(groups, unions, strict=True)]
    typical = typical_step(courses)
    done = -math.inf
    covered: list[Span] = []
    stretches = []
    for attempt, writers, place, life, own, steps in zip(chosen, groups, places, lives, unions, courses, strict=True):
        fresh = outside(own, shifted(covered, -place))
        doubles = [spans for spans, double in zip(life, _are_doubles(writers), strict=True) if double]
        warnings = (*_double_claims(attempt, writers), *_overlap(attempt, length(own) - length(fresh)))
        stretches.append(Stretch(attempt, place, own, fresh, partition(steps, typical, done), doubles, warnings))
        covered = union([*covered, *shifted(own, place)])
        done = max(done, steps.last_step)
    return Timeline(origin, tuple(stretches))


def usage(attempts: Iterable[Attempt]) -> Usage:
    """The usage of one run; see `Timeline` for the same by attempt and by day."""
    return timeline(attempts).total()


def _placed(writers: list[Writer]) -> list[list[Span]]:
    """Each writer's alive time on the axis of the first one."""
    lives = [alive(writer) for writer in writers]
    return [shifted(life, by) for life, by in zip(lives, offsets(writers, lives), strict=True)]


def _are_doubles(writers: list[Writer]) -> Iterator[bool]:
    """For each writer, in order, whether an earlier one has the same rank."""
    for _, same in groupby(writers, key=lambda writer: writer.rank):
        yield from (index > 0 for index, _ in enumerate(same))


def _usage(stretch: Stretch, counted: list[Span], window: Span) -> Usage:
    """What one attempt comes to inside a window of the run; `counted` is the part of it that wall time counts."""
    attempt = stretch.attempt
    windows = shifted([window], -stretch.place)
    spans = within(stretch.spans, windows)
    alive_s = length(within(stretch.alive, windows))
    phases = _by_phase(spans)
    device_s = alive_s * attempt.devices
    process_s = alive_s * attempt.world_size
    whole_s = length(stretch.alive)
    return Usage(
        wall_s=length(within(counted, windows)),
        device_s=device_s,
        process_s=process_s,
        per_process_s=process_s + sum(length(within(double, windows)) for double in stretch.doubles),
        phases=phases if counted == stretch.alive else _by_phase(within(spans, counted)),
        device_phases={name: seconds * attempt.devices for name, seconds in phases.items()},
        process_phases={name: seconds * attempt.world_size for name, seconds in phases.items()},
        device_kinds={attempt.device_kind: device_s} if attempt.devices else {},
        cpu_process_s=0.0 if attempt.devices else process_s,
        energy_j=attempt.joules * alive_s / whole_s if whole_s else 0.0,
        warnings=stretch.warnings,
    )


def _by_phase(spans: list[Span]) -> dict[str, float]:
    found: dict[str, list[Span]] = {name: [] for name in PHASES}
    for span in spans:
        found[span[2]].append(span)
    return {name: length(pieces) for name, pieces in found.items()}


def _days(span: Span) -> range:
    """The days since the origin that a span touches."""
    return range(math.floor(span[0] / DAY_S), math.ceil(span[1] / DAY_S))


def _double_claims(attempt: Attempt, writers: list[Writer]) -> Iterator[str]:
    for rank, same in groupby(writers, key=lambda writer: writer.rank):
        names = [writer.name or "unnamed" for writer in same]
        if len(names) > 1:
            claim = f"attempt {attempt.number}: {len(names)} processes wrote as rank {rank} ({', '.join(names)})"
            yield f"{claim}; their time is counted once"


def _overlap(attempt: Attempt, seconds: float) -> Iterator[str]:
    if seconds > OVERLAP_S:
        yield f"attempt {attempt.number} ran beside an earlier one for {seconds:.1f} s; wall time counts that once"
