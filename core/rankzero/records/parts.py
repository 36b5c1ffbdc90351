"""Numbers that stand for the whole job though every rank holds only a part of them, and no collective was called to add up.

Every rank that holds a part of the metric K records it, at the same step, in a series of its own. At each step at which all
ranks that have the series have a value, K is the square root of the sum over ranks of `K#sumsq`, divided by the sum of `K#over`
where that series exists; or the sum of `K#sum`; or the largest `K#max`. (A rank whose part others hold as well has divided it by
their number already.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

RULES = frozenset({"sumsq", "over", "sum", "max"})


def split(key: str) -> tuple[str, str] | None:
    """`("grad/norm", "sumsq")` for "grad/norm#sumsq"; None for the name of a series that is no part."""
    metric, _, rule = key.rpartition("#")
    return (metric, rule) if metric and rule in RULES else None


def combine(parts: Mapping[str, Sequence[float]]) -> float:
    """The metric at one step, from the ranks' parts by rule: `{"sumsq": [...]}`, or that and `{"over": [...]}`, and so on.

    Returns:
        NaN where the parts are not finite numbers, or say nothing.
    """
    if "sumsq" in parts:
        whole = math.fsum(parts["sumsq"]) if all(map(math.isfinite, parts["sumsq"])) else sum(parts["sumsq"])
        over = sum(parts["over"]) if "over" in parts else 1.0
        return math.sqrt(whole / over) if over else math.nan
    if "sum" in parts:
        return sum(parts["sum"])
    values = parts.get("max", ())
    return math.nan if not values or any(map(math.isnan, values)) else max(values)
