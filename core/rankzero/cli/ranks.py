"""The ranks of a run side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from rankzero.cli import terminal, words
from rankzero.cli.plot import sparkline
from rankzero.query.ranks import RECENT, Slowest

if TYPE_CHECKING:
    from rankzero.query import RankView, RunView

MOST_RANKS = 32
BAR = 24
OTHER_COLUMNS = 76
"""About how many characters stand left of the bars."""


def section(view: RunView, width: int) -> RenderableType | None:
    """Every rank's time per step, the slowest named."""
    ranks = view.ranks
    if len(ranks) == 1 and ranks[0].step_time is None:
        return None
    slowest = view.slowest
    named = None if slowest is None else slowest.rank
    shown = ranks[:MOST_RANKS]
    made = terminal.table(
        "rank", "host", "state", "step", "busy", "input", "last step", "busy or waiting",
        numbers=("rank", "step", "busy", "input", "last step"),
    )  # fmt: skip
    longest = max((rank.step_time or 0.0 for rank in ranks), default=0.0)
    for rank in shown:
        made.add_row(
            Text(str(rank.rank), "bold red" if rank.rank == named else ""),
            rank.host,
            Text(rank.state, terminal.STATES.get(rank.state, "")),
            words.seconds(rank.step_time),
            words.seconds(rank.busy_time),
            words.seconds(rank.input_wait),
            "-" if rank.last_step is None else str(rank.last_step),
            _bar(rank, longest, max(8, min(BAR, width - OTHER_COLUMNS)), slowest=rank.rank == named),
        )
    lines: list[RenderableType] = [Padding(made, (0, 0, 0, 2))]
    if len(ranks) > len(shown):
        lines.append(Text(f"  and {len(ranks) - len(shown)} more: --json shows all", "dim"))
    if slowest is not None:
        lines.append(Padding(Text(_sentence(slowest), "bold red"), (0, 0, 0, 2)))
    lines += _spread(view)
    return Group(*lines)


def _bar(rank: RankView, longest: float, width: int, *, slowest: bool) -> Text:
    """The step of a rank: solid while it is busy by itself, light while it waits for others."""
    if not rank.step_time or not longest:
        return Text()
    whole = max(1, round(rank.step_time / longest * width))
    busy = whole if rank.busy_time is None else min(whole, round(rank.busy_time / longest * width))
    return Text("█" * busy, "red" if slowest else "green").append("░" * (whole - busy), "dim")


def _sentence(slowest: Slowest) -> str:
    what = {"time/busy": "busy", "time/step": "in a step", "time/input": "waiting for input"}[slowest.quantity]
    own, others = words.seconds(slowest.seconds), words.seconds(slowest.others)
    return f"slowest: rank {slowest.rank}, {own} {what}, the others {others} (median of the last {RECENT} steps)"


def _spread(view: RunView) -> list[RenderableType]:
    """How the time per step went over the run, one line per rank on one scale from zero, where there are few."""
    ranks = [rank.rank for rank in view.ranks]
    if "time/step" not in view.parts or not 1 < len(ranks) <= 8:  # noqa: PLR2004 - more lines say less
        return []
    series = view.series("time/step")
    steps = sorted(value for value in series.value if math.isfinite(value))
    if len(steps) < 2 * len(ranks):
        return []
    top = steps[int(len(steps) * 0.98)]
    lines: list[RenderableType] = []
    for rank in ranks:
        values = [value for value, own in zip(series.value, series.rank, strict=True) if own == rank]
        lines.append(Text(f"  rank {rank:<3} {sparkline(values, 60, 0.0, top)}", "dim"))
    return lines
