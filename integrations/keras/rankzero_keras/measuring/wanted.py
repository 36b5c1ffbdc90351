"""What is to be measured of gradients and parameters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which measurements to take: those of all gradients together always.

    Attributes:
        gradients: norm and largest value of each parameter's gradient.
        parameters: norm of each parameter.
        updates: how far a step moves each parameter.
        histograms: of those of which norms are taken.
        every: steps between two samples; None: as rarely as costs little.
        asked: the user asked for it; otherwise nothing is compiled for it before that costs little.
    """

    gradients: bool = False
    parameters: bool = False
    updates: bool = False
    histograms: bool = False
    every: int | None = None
    asked: bool = False


def wanted(log: str | None, every: int | None = None, *, histograms: bool = False) -> Wanted:
    """From the words that users know: "gradients", "parameters", "all" or None."""
    gradients, parameters = log in {"gradients", "all"}, log in {"parameters", "all"}
    return Wanted(
        gradients=gradients or (histograms and not parameters),
        parameters=parameters,
        updates=log == "all",
        histograms=histograms,
        every=every,
        asked=log is not None or histograms or every is not None,
    )
