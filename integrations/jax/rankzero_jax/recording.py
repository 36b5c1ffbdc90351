"""Taps that arrived on the host, to rows of a run."""

from __future__ import annotations

from typing import Any

from rankzero.plugin import Run
from rankzero_jax.arriving import Arriving
from rankzero_jax.outputs import forms, steps_of, unpacked
from rankzero_jax.runs import suffix_in
from rankzero_jax.statistics import histogram
from rankzero_jax.taps import Tap


def record_captured(run: Run, tap: Tap, step: int) -> None:
    """Log what `capture` measured in one step, or in each of the steps of a loop inside the program."""
    behind = suffix_in(run, tap.about[0])
    for index in range(steps_of(tap)):
        decode = Decoding(tap.names, index, behind)
        run.log({"capture": Arriving((tap.numbers, tap.values), decode)}, step=step + index)


def record_row(run: Run, number: int, arrays: list[Any], step: int) -> None:
    """Log outputs that are one row of `log` without a step of its own; what they are is looked up in the writer thread."""
    ranks = forms[number].row
    run.log({"log": Arriving(arrays, Row(number))}, step=step, ranks=ranks if isinstance(ranks, str) else None)


def record_logged(run: Run, tap: Tap, step: int) -> None:
    """Log what `log` was given: at the step it was told, else at this one."""
    ranks, told = tap.about
    run.log({"log": Arriving(tap.values, dict)}, step=step if told is None else told, ranks=ranks)


class Row:
    """From the arrays of a program's outputs to a row of what `log` was given."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, found: list[Any]) -> dict[str, Any]:
        """The row."""
        return {name: value for tap in unpacked(self._number, found) for name, value in tap.values.items()}


class Decoding:
    """From arrays on the host to a row: numbers in a vector, and histograms by name.

    Args:
        names: of the vector's elements.
        index: of the step, where the arrays hold several.
        behind: what stands behind the names in the row.
    """

    __slots__ = ("_behind", "_index", "names")

    def __init__(self, names: tuple[str, ...], index: int = 0, behind: str = "") -> None:
        self.names = names
        self._index = index
        self._behind = behind

    def __call__(self, found: tuple[Any, dict[str, Any]]) -> dict[str, Any]:
        """The row."""
        vector, counted = found
        row: dict[str, Any] = {}
        if self.names:
            numbers = vector.reshape(-1, len(self.names))[self._index]
            row.update(zip(self.names, numbers.tolist(), strict=True))
        for name, counts in counted.items():
            row[name] = histogram(counts.reshape(-1, counts.shape[-1])[self._index])
        return {f"{name}{self._behind}": value for name, value in row.items()} if self._behind else row
