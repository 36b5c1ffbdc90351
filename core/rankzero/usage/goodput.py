"""Goodput: every moment of an attempt in exactly one phase."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from statistics import median

from rankzero.usage.ledger import FINISHED, Writer
from rankzero.usage.pieces import Piece, Span, joined, outside, within

PHASES = ("startup", "step", "input", "evaluation", "checkpoint", "redone", "stalled", "idle")
"""All phases, in the order in which they are shown."""

STALL_STEPS = 10
"""A time between two steps is a stall when it is longer than this many typical ones."""

BURST_S = 0.01
"""Steps logged closer together than this (a whole epoch's at its end) are one mark."""

_NAMED = {"evaluation", "checkpoint"}
_segment = itemgetter(2)


@dataclass(frozen=True, slots=True)
class Course:
    """One attempt cut at its step marks: segment i is the time up to mark i, the last one what follows the last mark.

    Attributes:
        marks: `(t, step)` of the step marks, in order.
        named: evaluation and checkpoint after the first mark.
        rest: all other alive time, labelled by segment.
        waited: seconds of input wait per segment.
        finished: whether the attempt reached its orderly end.
    """

    marks: list[tuple[float, int]]
    named: list[Span]
    rest: list[Piece[int]]
    waited: list[float]
    finished: bool

    @property
    def last_step(self) -> int | None:
        """The highest step done."""
        return max((step for _, step in self.marks), default=None)

    def times(self) -> list[float]:
        """Seconds between consecutive marks, evaluation and checkpoint taken out."""
        seconds = [0.0] * (len(self.marks) + 1)
        for start, end, segment in self.rest:
            seconds[segment] += end - start
        return [spent for spent in seconds[1:-1] if spent > 0]


def course(writer: Writer, alive: list[Span]) -> Course:
    """Cut the alive time of an attempt at the step marks and phases that its leading writer recorded."""
    marks = _marks(writer.steps)
    edges = [-math.inf, *(t for t, _ in marks), math.inf]
    segments = [(start, end, index) for index, (start, end) in enumerate(pairwise(edges))]
    named = within(within(_named(writer.phases), [(edges[1], math.inf, "")]), alive)
    waited = [0.0] * len(segments)
    times = edges[1:-1]
    for t, seconds in writer.waits:
        waited[bisect_left(times, t - BURST_S)] += seconds
    finished = writer.ended is not None and writer.ended[1] == FINISHED
    return Course(marks, named, within(segments, outside(alive, named)), waited, finished)


def typical_step(courses: Sequence[Course]) -> float:
    """The median time between two step marks of a run, in seconds; infinite if there are no two."""
    return median([spent for each in courses for spent in each.times()] or [math.inf])


def partition(course: Course, typical: float, done: float) -> list[Span]:
    """The attempt's alive time, each moment labelled with its phase.

    Args:
        course: the attempt.
        typical: `typical_step` of the run.
        done: the highest step that an earlier attempt had done, -inf if none.
    """
    spans = list(course.named)
    for segment, pieces in groupby(course.rest, key=_segment):
        group = list(pieces)
        plan = _plan(course, segment, sum(end - start for start, end, _ in group), typical, done)
        label, left = next(plan)
        for start, end, _ in group:
            cursor = start
            while end - cursor > left:
                spans.append((cursor, cursor + left, label))
                cursor += left
                label, left = next(plan)
            spans.append((cursor, end, label))
            left -= end - cursor
    return joined(spans)


def _plan(course: Course, segment: int, spent: float, typical: float, done: float) -> Iterator[tuple[str, float]]:
    """Which phases a segment of `spent` seconds consists of, and for how long each; the last takes what is left."""
    last = len(course.marks)
    if segment == 0:
        yield "startup", math.inf
    elif segment == last and (course.finished or typical == math.inf):
        yield "idle", math.inf
    else:
        redone = course.marks[segment][1] <= done if segment < last else course.marks[-1][1] < done
        waited = min(course.waited[segment], spent)
        if waited > 0:
            yield "redone" if redone else "input", waited
        if spent - waited > STALL_STEPS * typical:
            yield "stalled", spent - waited - typical
        yield "redone" if redone else "step", math.inf


def _marks(steps: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """The moments at which the step changed; a burst of them is one mark, at its highest step."""
    marks: list[tuple[float, int]] = []
    current: int | None = None
    for t, step in sorted(steps):
        if step == current:
            continue
        current = step
        if marks and t - marks[-1][0] < BURST_S:
            marks[-1] = (marks[-1][0], max(step, marks[-1][1]))
        else:
            marks.append((t, step))
    return marks


def _named(phases: Sequence[tuple[float, str]]) -> list[Span]:
    """The recorded phases as spans, each up to the next."""
    changes = [*sorted(phases, key=itemgetter(0)), (math.inf, "")]
    return [(start, end, name) for (start, name), (end, _) in pairwise(changes) if name in _NAMED and end > start]
