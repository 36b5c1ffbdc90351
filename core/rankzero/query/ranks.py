"""The ranks side by side, and which of them the others wait for.

In synchronous training every rank's whole step takes the same time, for all wait for the slowest in their collectives. What
tells it apart is the time it is busy by itself: `time/busy`, seconds of a step spent on input and computation without waiting
for other ranks. Where nobody recorded that, ranks that do not wait for each other differ in `time/step`, and a rank whose
input is slow in `time/input`.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rankzero.query.alive import is_alive
from rankzero.query.series import Part
from rankzero.query.writer import Writer

RECENT = 20
"""Steps that say which rank is slow now."""

CLEARLY = 0.2
"""A rank is named as slowest if it takes this share longer than the others' median,"""

AT_LEAST = 0.005
"""and at least so many seconds."""


@dataclass(frozen=True, slots=True)
class RankView:
    """One rank of the last attempt; times are medians in seconds per step, None where nothing was recorded.

    `step_time`, `input_wait` and `busy_time` are over all of the attempt's steps. `series` are the metrics of its own.
    """

    rank: int
    host: str
    node: int
    local_rank: int
    pid: int
    state: str
    exit_code: int | None
    step_time: float | None
    input_wait: float | None
    busy_time: float | None
    last_step: int | None
    series: list[str]
    recent: Mapping[str, float]

    def document(self) -> dict[str, Any]:
        """This rank as it stands in JSON."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "recent"}


@dataclass(frozen=True, slots=True)
class Slowest:
    """The rank that the others wait for: its recent `seconds` per step of a quantity, and the others' median."""

    rank: int
    quantity: str
    seconds: float
    others: float


def rank_views(writers: Sequence[Writer], parts: Mapping[str, Sequence[Part]]) -> list[RankView]:
    """The ranks of one attempt, in order; `parts` as by `rankzero.query.series.index`."""
    firsts: dict[int, Writer] = {}
    for writer in writers:
        firsts.setdefault(writer.rank, writer)
    return [_view(firsts[rank], parts) for rank in sorted(firsts)]


def slowest(ranks: Sequence[RankView]) -> Slowest | None:
    """The rank that the others wait for, None if no rank is clearly slower over the recent steps."""
    for quantity in ("time/busy", "time/step", "time/input"):
        times = {view.rank: view.recent[quantity] for view in ranks if quantity in view.recent}
        if len(times) < max(2, len(ranks)):
            continue
        rank = max(times, key=times.__getitem__)
        others = median(time for other, time in times.items() if other != rank)
        scale = others
        if quantity == "time/input":
            scale = median(view.recent.get("time/step", others) for view in ranks)
        if times[rank] - others >= max(CLEARLY * scale, AT_LEAST):
            return Slowest(rank, quantity, times[rank], others)
        if quantity == "time/busy":
            return None
    return None


def _view(writer: Writer, parts: Mapping[str, Sequence[Part]]) -> RankView:
    own = {key: [part for part in found if part.writer is writer] for key, found in parts.items()}
    times = {key: _joined(own[key]) for key in ("time/step", "time/input", "time/busy") if own.get(key)}
    middle = {key: median(values) for key, values in times.items()}
    end = writer.end
    state = end.state if end is not None else "running" if is_alive(writer) else "crashed"
    beats = [step for _, _, step in writer.beats if step is not None]
    return RankView(
        rank=writer.rank,
        host=writer.start.host,
        node=writer.start.node,
        local_rank=writer.start.local_rank,
        pid=writer.start.pid,
        state=state,
        exit_code=None if end is None else end.exit_code,
        step_time=middle.get("time/step"),
        input_wait=middle.get("time/input"),
        busy_time=middle.get("time/busy"),
        last_step=max([*(max(table.steps) for table in writer.tables if len(table)), *beats], default=None),
        series=[key for key, found in own.items() if any(part.local for part in found)],
        recent={key: median(values[-RECENT:]) for key, values in times.items()},
    )


def _joined(parts: Sequence[Part]) -> array[float]:
    """Values of several tables in order of time."""
    if len(parts) == 1:
        return parts[0].values
    pairs = sorted((t, value) for part in parts for t, value in zip(part.times, part.values, strict=True))
    return array("d", [value for _, value in pairs])
