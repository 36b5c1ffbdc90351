"""Where writers and attempts lie on one axis, so that clocks that were wrong or jumped do not make time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rankzero.usage.ledger import Attempt, Writer
from rankzero.usage.pieces import Span

DAY_S = 86400


def in_order(attempt: Attempt) -> list[Writer]:
    """The attempt's writers by rank, the true owner of a rank before any other process that claims it."""
    return sorted(attempt.writers, key=lambda writer: (writer.rank, writer.name, writer.started))


def offsets(writers: Sequence[Writer], lives: Sequence[list[Span]]) -> list[float]:
    """Seconds from the first writer's t = 0 to each writer's; `lives` holds the alive time of each.

    Writers of one boot are placed by their machine's monotonic clock. Other machines are placed by the wall clock, moved as
    little as is needed to lie inside the time of those before, or around it if they took longer: an attempt lasts as long as the
    machine that lived longest, whatever their clocks say.
    """
    machines: dict[str, list[int]] = {}
    for index, writer in enumerate(writers):
        machines.setdefault(writer.boot or f"writer {index}", []).append(index)
    places = [0.0] * len(writers)
    hull: list[float] = []
    for members in machines.values():
        base = writers[members[0]]
        for index in members:
            places[index] = writers[index].clock - base.clock
        edges = [places[index] + edge for index in members for span in lives[index] for edge in span[:2]] or [0.0]
        hull = hull or [min(edges), max(edges)]
        low, high = sorted((hull[0] - min(edges), hull[1] - max(edges)))
        shift = min(max(base.started - writers[0].started, low), high)
        hull = [min(hull[0], min(edges) + shift), max(hull[1], max(edges) + shift)]
        for index in members:
            places[index] += shift
    return places


def midnight(leads: Iterable[Writer]) -> int:
    """The UTC midnight before the first of them started, in seconds since the epoch."""
    return math.floor(min(writer.started for writer in leads) / DAY_S) * DAY_S


def positions(leads: Sequence[Writer], origin: float) -> list[float]:
    """Where the attempts' first writers have their t = 0, in seconds since `origin`.

    The first attempt on a boot is placed by the wall clock, later ones on the same boot by its monotonic clock.
    """
    known: dict[str, float] = {}
    places = []
    for lead in leads:
        place = lead.started - origin
        if lead.boot:
            place = known.setdefault(lead.boot, place - lead.clock) + lead.clock
        places.append(place)
    return places
