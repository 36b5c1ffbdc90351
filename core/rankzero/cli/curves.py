"""The curves of a run, side by side as far as the width goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rankzero.cli import words
from rankzero.cli.plot import braille
from rankzero.records.parts import split

if TYPE_CHECKING:
    from rankzero.query import RunView

MOST_CURVES = 6
MOST_NAMES = 20
HEIGHT = 6
NARROWEST, WIDEST = 36, 60
LABEL = 12
"""Characters left of a plot that hold the ends of its scale."""

_BEHIND = ("loss", "grad/norm", "optim/lr", "throughput/", "grad/", "optim/", "weight/", "update/", "time/")
"""Our own metrics in the order in which a training is usually judged; the user's own come before them."""

_NEVER = ("progress/", "system/", "time/", "compile/")
_AXES = {"epoch", "step", "global_step"}
"""Last parts of names under which programs log where they are, to draw the others over."""


def section(view: RunView, width: int) -> RenderableType | None:
    """The run's most telling curves, and the names of the others."""
    curves, others = choose(view)
    if not curves and not others:
        return None
    across = max(1, min(3, len(curves), (width - 2) // NARROWEST))
    each = min(WIDEST, (width - 2) // across - 2)
    grid = Table.grid(padding=(0, 2, 1, 0))
    for first in range(0, len(curves), across):
        grid.add_row(*(panel(view, key, each) for key in curves[first : first + across]))
    if not others:
        return grid
    more = f" and {len(others) - MOST_NAMES} more" if len(others) > MOST_NAMES else ""
    text = Text.assemble(("also recorded: ", "dim"), ", ".join(others[:MOST_NAMES]) + more)
    return Group(grid, Padding(text, (0, 0, 0, 2))) if curves else Padding(text, (0, 0, 0, 2))


def choose(view: RunView) -> tuple[list[str], list[str]]:
    """Which metrics are drawn, the most telling first, and which are only named."""
    hidden = {key for key in view.keys if view.define(key).hidden or split(key) is not None}
    drawable = [
        key
        for key, metric in view.metrics.items()
        if metric.count > 1 and metric.min is not None and key not in hidden
        if not key.startswith(_NEVER) and key.rpartition("/")[2] not in _AXES
    ]
    axes = {view.define(key).step_metric for key in drawable}
    ranked = sorted((key for key in drawable if key not in axes), key=lambda key: _order(view, key))
    named = [key for key in (*view.keys, *view.media) if key not in hidden]
    others = [key for key in named if key not in ranked[:MOST_CURVES]]
    return ranked[:MOST_CURVES], others


def _order(view: RunView, key: str) -> tuple[bool, bool, int, bool]:
    """What comes first: what changes, what is no single parameter's, the user's own metrics, losses."""
    metric = view.metrics[key]
    ours = next((place for place, prefix in enumerate(_BEHIND) if key.startswith(prefix)), -1)
    single = ours >= 0 and key.count("/") > 1
    return metric.min == metric.max, single, ours, "loss" not in key


def panel(view: RunView, key: str, width: int, height: int = HEIGHT) -> RenderableType:
    """One curve with its scale; of a rank-local metric the mean over ranks is drawn."""
    series = view.series(key)
    axis = view.axis(series)
    x: Sequence[float] = series.step if axis is None else axis[1]
    y: Sequence[float] = series.value
    if series.scope == "local":
        x, y = mean_by_step(series.step, series.value)
    metric = view.metrics[key]
    title = Text(key, "bold", no_wrap=True, overflow="ellipsis")
    title.append(f"  {words.number(metric.last)}", "bold green")
    lines = braille(x, y, max(8, width - LABEL), height)
    labels = [""] * height
    if finite_y := _finite(y):
        labels[0], labels[-1] = words.number(max(finite_y)), words.number(min(finite_y))
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=LABEL - 1, justify="right", style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    for label, line in zip(labels, lines, strict=True):
        grid.add_row(label, Text(line, "green"))
    grid.add_row("", _foot(x, "step" if axis is None else axis[0], max(8, width - LABEL)))
    return Group(Padding(title, (0, 0, 0, 2)), grid)


def mean_by_step(steps: Sequence[int], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The mean of the finite values of each step."""
    sums: dict[int, tuple[float, int]] = {}
    for step, value in zip(steps, values, strict=True):
        if math.isfinite(value):
            before, count = sums.get(step, (0.0, 0))
            sums[step] = before + value, count + 1
    return list(map(float, sums)), [total / count for total, count in sums.values()]


def _finite(values: Sequence[float]) -> Sequence[float]:
    return values if math.isfinite(sum(values)) else [value for value in values if math.isfinite(value)]


def _foot(x: Sequence[float], name: str, width: int) -> Text:
    finite = _finite(x)
    if not finite:
        return Text()
    left, right = words.number(min(finite)), words.number(max(finite))
    return Text(f"{left}{f'{name} {right}':>{max(1, width - len(left))}}", "dim")
