"""Goodput: every moment of an attempt in exactly one phase."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from statistics import median

from rankzero.usage.ledger import FINISHED, Writer
from rankzero.usage.pieces import Piece, Span, joined, outside, union, within

PHASES = ("startup", "step", "input", "evaluation", "checkpoint", "redone", "stalled", "idle")
"""All phases, in the order in which they are shown."""

STALL_STEPS = 10
"""A time between two steps is a stall when it is longer than this many typical ones."""

BURST_S = 0.01
"""Steps logged closer together than this (a whole epoch's at its end) are one mark."""

_NAMED = {"evaluation", "checkpoint"}


@dataclass(frozen=True, slots=True)
class Course:
    """One attempt cut at its step marks: segment i is the time up to mark i, the last one what follows the last mark.

    Attributes:
        marks: `(t, step)` of the step marks, in order.
        named: evaluation, checkpoint and compilation after the first mark.
        rest: all other alive time, labelled by segment.
        spent: seconds of `rest` per segment.
        waited: seconds of input wait per segment.
        finished: whether the attempt reached its orderly end.
    """

    marks: list[tuple[float, int]]
    named: list[Span]
    rest: list[Piece[int]]
    spent: list[float]
    waited: list[float]
    finished: bool

    @property
    def last_step(self) -> float:
        """The highest step done, -inf if none."""
        return max((step for _, step in self.marks), default=-math.inf)


def course(writer: Writer, alive: list[Span]) -> Course:
    """Cut the alive time of an attempt at the step marks and phases that its leading writer recorded."""
    marks = _marks(writer.steps)
    edges = [-math.inf, *(t for t, _ in marks), math.inf]
    segments = [(start, end, index) for index, (start, end) in enumerate(pairwise(edges))]
    named = within(within(_named(writer), [(edges[1], math.inf, "")]), alive)
    rest = within(segments, outside(alive, named))
    spent = [0.0] * len(segments)
    for start, end, segment in rest:
        spent[segment] += end - start
    waited = [0.0] * len(segments)
    times = edges[1:-1]
    for t, seconds in writer.waits:
        waited[bisect_left(times, t - BURST_S)] += seconds
    finished = writer.ended is not None and writer.ended[1] == FINISHED
    return Course(marks, named, rest, spent, waited, finished)


def typical_step(courses: Iterable[Course]) -> float:
    """The median time between two step marks of a run, in seconds; infinite if there are no two.

    Evaluation and checkpoints are taken out, input wait is not.
    """
    return median([spent for each in courses for spent in each.spent[1:-1] if spent > 0] or [math.inf])


def partition(course: Course, typical: float, done: float) -> list[Span]:
    """The attempt's alive time, each moment labelled with its phase.

    Args:
        course: the attempt.
        typical: `typical_step` of the run.
        done: the highest step that an earlier attempt had done, -inf if none.
    """
    spans = list(course.named)
    plan: list[tuple[str, float]] = []
    label, left, current = "", 0.0, -1
    for start, end, segment in course.rest:
        if segment != current:
            current = segment
            plan = _plan(course, segment, typical, done)
            label, left = plan.pop()
        cursor = start
        while end - cursor > left:
            spans.append((cursor, cursor + left, label))
            cursor += left
            label, left = plan.pop()
        spans.append((cursor, end, label))
        left -= end - cursor
    return joined(spans)


def _plan(course: Course, segment: int, typical: float, done: float) -> list[tuple[str, float]]:
    """What a segment consists of, last part first: phases and their seconds, the last part without limit."""
    last = len(course.marks)
    if segment == 0:
        return [("startup", math.inf)]
    if segment == last and (course.finished or typical == math.inf):
        return [("idle", math.inf)]
    redone = course.marks[segment][1] <= done if segment < last else course.marks[-1][1] < done
    waited = course.waited[segment]
    working = course.spent[segment] - waited
    plan = [("redone" if redone else "step", math.inf)]
    if working > STALL_STEPS * typical:
        plan.append(("stalled", working - typical))
    if waited > 0:
        plan.append(("redone" if redone else "input", waited))
    return plan


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


def _named(writer: Writer) -> list[Span]:
    """The recorded phases as spans, each up to the next, and between them what compilations took: they are start-up."""
    changes = [*sorted(writer.phases, key=itemgetter(0)), (math.inf, "")]
    named = [(start, end, name) for (start, name), (end, _) in pairwise(changes) if name in _NAMED and end > start]
    compiling = outside(union((t - seconds, t, "") for t, seconds in writer.compiles), named)
    return sorted([*named, *((start, end, "startup") for start, end, _ in compiling)])
