"""What a metric's definition asks for: its summaries and its x axis."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from rankzero.query.series import Metric, Series
from rankzero.records import Define


def definition(defines: Sequence[Define], key: str) -> Define:
    """How `key` is to be read: matching globs in order, a definition of exactly this name over them."""
    matching = [d for d in defines if d.name != key and fnmatchcase(key, d.name)] + [
        d for d in defines if d.name == key
    ]
    merged = Define(name=key)
    for found in matching:
        merged = Define(
            name=key,
            step_metric=found.step_metric or merged.step_metric,
            summary=merged.summary if found.summary is None else found.summary,
            goal=found.goal or merged.goal,
            hidden=found.hidden or merged.hidden,
        )
    return merged


def summarise(metric: Metric, define: Define) -> Any:
    """A metric's entry in the summary: its last value, or a dict of the summaries its definition names, or None for none."""
    wanted = define.summary
    if wanted is None or wanted == ["last"] or "copy" in wanted:
        return metric.last
    if "none" in wanted or not wanted:
        return None
    best = metric.max if (define.goal or "").startswith("max") else metric.min
    known = {
        "min": metric.min,
        "max": metric.max,
        "mean": metric.mean,
        "first": metric.first,
        "last": metric.last,
        "best": best,
    }
    return {name: known[name] for name in wanted if name in known}


def x_axis(series: Series, axis: Series) -> array[float]:
    """For every point of `series` the value `axis` had at its step: the one logged there, else the latest before; NaN if none."""
    found = array("d")
    for step in series.step:
        at = bisect_right(axis.step, step) - 1
        found.append(axis.value[at] if at >= 0 else math.nan)
    return found
