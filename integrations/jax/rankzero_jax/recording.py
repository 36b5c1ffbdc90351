"""Taps that arrived on the host, to rows of a run."""

from __future__ import annotations

import math
from typing import Any

from rankzero.plugin import Run
from rankzero_jax.arriving import Arriving
from rankzero_jax.statistics import histogram
from rankzero_jax.taps import Tap


def record_captured(run: Run, tap: Tap, step: int) -> None:
    """Log what `capture` measured in one step, or in each of the steps of a loop inside the program."""
    for index in range(steps_of(tap)):
        arrays = {"": tap.numbers, **tap.values}
        run.log({"capture": Arriving(arrays, Decoding(tap.names, index))}, step=step + index)


def record_logged(run: Run, tap: Tap, step: int) -> None:
    """Log what `log` was given: at the step it was told, else at this one."""
    ranks, told = tap.about
    run.log(dict(tap.values), step=step if told is None else told, ranks=ranks)


def steps_of(tap: Tap) -> int:
    """How many steps a tap stands for: those of the loops inside the program."""
    return 1 if tap.numbers is None else math.prod(tap.numbers.shape[:-1])


class Decoding:
    """From arrays on the host to a row.

    Args:
        names: of the vector `""`'s elements.
        index: of the step, where the arrays hold several.
    """

    def __init__(self, names: tuple[str, ...], index: int = 0) -> None:
        self.names = names
        self._index = index

    def __call__(self, found: dict[str, Any]) -> dict[str, Any]:
        """The numbers of the vector by name, and the histograms."""
        vector = found[""].reshape(-1, max(1, len(self.names)))[self._index] if self.names else found[""]
        row: dict[str, Any] = dict(zip(self.names, vector.tolist(), strict=True))
        for name, counted in found.items():
            made = histogram(counted.reshape(-1, counted.shape[-1])[self._index]) if name else None
            if made is not None:
                row[name] = made
        return row
