"""Where the time went, as a bar."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from rankzero.cli import terminal, words
from rankzero.cli.plot import shares

LOOKS = {
    "startup": ("░", "blue"),
    "step": ("█", "green"),
    "input": ("▒", "yellow"),
    "evaluation": ("▓", "cyan"),
    "checkpoint": ("▚", "magenta"),
    "redone": ("▞", "red"),
    "stalled": ("✗", "red"),
    "idle": ("·", "dim"),
}
"""Phases that are good use of the time are dense, so that the bar can be read without colours."""


def bar(phases: Mapping[str, float], width: int) -> RenderableType:
    """Phases in seconds as one bar of `width` characters with its legend."""
    present = {name: spent for name, spent in phases.items() if spent > 0}
    total = sum(present.values())
    line, legend = Text(), []
    for (name, spent), cells in zip(present.items(), shares(list(present.values()), width), strict=True):
        sign, colour = LOOKS.get(name, ("?", "default"))
        line.append(sign * cells, colour)
        legend.append(Text.assemble((sign, colour), f" {name} {words.seconds(spent)} ({spent / total:.0%})   "))
    return Group(line, *terminal.flow(legend, width, indent=0))


def share(phases: Mapping[str, float], name: str) -> float:
    """The share of one phase, 0 where there is no time at all."""
    total = sum(phases.values())
    return phases.get(name, 0.0) / total if total else 0.0
