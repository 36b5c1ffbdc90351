"""What is to be recorded of a model's tensors, and under which names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which measurements to take.

    Attributes:
        gradients: norms and counts of non-finite values of gradients.
        parameters: norms of parameters.
        each: of every parameter, not only of all together.
        more: the largest gradients and how far updates move parameters.
        histograms: "none", "sampled" (of up to 4,096 values a tensor) or "exact".
    """

    gradients: bool = True
    parameters: bool = False
    each: bool = True
    more: bool = False
    histograms: str = "none"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one model's metrics.

    A norm of what lies in parts on several ranks is known to none of them, and no collective is called to find it. There
    every rank records its part of the metric K in a series of its own, and the reader adds: K is the square root of the sum
    over ranks of `K#sumsq`, divided by the sum of `K#over` where there is such a series; the sum of `K#sum`; the largest
    `K#max`. What several ranks hold alike each of them divides by their number first.

    Attributes:
        spread: this model lies in parts on several ranks.
        suffix: "@2" for the second model of a run, empty for the first.
    """

    spread: bool = False
    suffix: str = ""

    def key(self, quantity: str, parameter: str = "") -> str:
        """The name of a metric of the model or of one of its parameters."""
        return f"{quantity}/{parameter}{self.suffix}" if parameter else quantity + self.suffix

    def put_root(self, row: dict[str, Any], key: str, square: float, over: float | None = None) -> None:
        """A norm, given its square; with `over`, the ratio of two norms."""
        if not self.spread:
            row[key] = math.sqrt(square if over is None else square / over if over else math.nan)
            return
        row[f"{key}#sumsq"] = square
        if over is not None:
            row[f"{key}#over"] = over

    def put_sum(self, row: dict[str, Any], key: str, value: float) -> None:
        """A count over all ranks."""
        row[f"{key}#sum" if self.spread else key] = value

    def put_largest(self, row: dict[str, Any], key: str, value: float) -> None:
        """A maximum over all ranks."""
        row[f"{key}#max" if self.spread else key] = value
