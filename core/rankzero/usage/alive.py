"""When a process was alive, by the evidence of its own lines."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import chain, pairwise
from operator import itemgetter

from rankzero.usage.ledger import Writer
from rankzero.usage.pieces import Span

GAP_S = 10.0
"""A silence up to this long is alive time whatever the process did."""

IDLE_CPU = 0.02
"""CPU seconds per second below which a longer silence is not alive time."""

_Beats = Sequence[tuple[float, float]]
_time = itemgetter(0)


def alive(writer: Writer) -> list[Span]:
    """The pieces of the writer's own time in which it was alive.

    A line of any kind is evidence of life; the last one is the end. A silence of more than `GAP_S` is alive time only if
    the process computed in it.
    """
    ended = () if writer.ended is None else (writer.ended[0],)
    timed = (writer.beats, writer.steps, writer.phases, writer.waits)
    seen = sorted(chain((0.0,), writer.lines, *(map(_time, records) for records in timed), ended))
    beats = sorted(writer.beats)
    spans: list[Span] = []
    start = seen[0]
    for before, after in pairwise(seen):
        if after - before > GAP_S and not _computed(beats, before, after):
            spans.append((start, before, ""))
            start = after
    spans.append((start, seen[-1], ""))
    return [span for span in spans if span[1] > span[0]]


def _computed(beats: _Beats, start: float, end: float) -> bool:
    """Whether the process used CPU to speak of in a silence.

    The beats around it say what was used between them; what falls before or after the silence itself is taken at the
    pace the process had there, at least one full core. Before the first beat there is nothing to compare with (a journal
    may open late), so that silence counts; behind the last one nothing says that it computed.
    """
    before = bisect_right(beats, start, key=_time) - 1
    after = bisect_left(beats, end, key=_time)
    if before < 0:
        return bool(beats)
    if after == len(beats):
        return False
    used = beats[after][1] - beats[before][1]
    around = (start - beats[before][0]) + (beats[after][0] - end)
    pace = max(1.0, _pace(beats, before - 1), _pace(beats, after))
    return used - pace * around >= IDLE_CPU * (end - start)


def _pace(beats: _Beats, index: int) -> float:
    """CPU seconds per second from the given beat to the next, 0 where there are no two."""
    if index < 0 or index + 1 >= len(beats):
        return 0.0
    (start, used), (end, used_later) = beats[index], beats[index + 1]
    return (used_later - used) / (end - start) if end > start else 0.0
