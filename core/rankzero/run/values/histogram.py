"""Distributions: equal bins between the smallest and the largest value, as numpy.histogram counts them."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from rankzero.errors import UsageError
from rankzero.run.values.arrays import Deferred, Unsupported, hold
from rankzero.run.values.scalars import scalar

MOST_BINS = 512
_DOUBLE = 8


class Bins(NamedTuple):
    """`counts[i]` values lie in [edges[i], edges[i+1]), in the last bin also its upper edge; `nonfinite` lie nowhere."""

    edges: list[float]
    counts: list[float]
    nonfinite: int = 0


class Histogram:
    """A distribution to log.

    Args:
        values: numbers, as any array, tensor or list; copied, and counted later off the training thread. With `counts`, the edges.
        counts: how many lie in each bin, where they are counted already.
        edges: the bins' edges, one more than counts.
        np_histogram: counts and edges as `numpy.histogram` returns them.
        num_bins: bins to count `values` into.
        sampled: the values are a sample of those meant; readers see it.
        nonfinite: how many values were NaN or infinite, beside those given.
    """

    def __init__(
        self,
        values: Any = None,
        counts: Any = None,
        *,
        edges: Any = None,
        np_histogram: tuple[Any, Any] | None = None,
        num_bins: int = 64,
        sampled: bool = False,
        nonfinite: int = 0,
    ) -> None:
        if np_histogram is not None:
            counts, edges = np_histogram
        elif counts is not None and edges is None:
            values, edges = None, values
        self._values = _held(values)
        self._counts = _held(counts)
        self._edges = _held(edges)
        self._nonfinite = nonfinite
        self.num_bins = num_bins
        self.sampled = sampled

    @classmethod
    def between(
        cls, low: float, high: float, counts: Sequence[float], *, sampled: bool = False, nonfinite: int = 0
    ) -> Histogram:
        """What a device has counted into equal bins; values that are all alike, as far as numbers go, are in one bin.

        Args:
            low: the lowest of the finite values; above `high`, or NaN, where there is none.
            high: the highest of them.
            counts: how many lie in each bin.
            sampled: see `Histogram`.
            nonfinite: see `Histogram`.
        """
        low, high = (low, high) if low <= high else (0.0, 0.0)
        edges = equal_edges(low, high, len(counts) if low < high else 1)
        found = counts if len(edges) == len(counts) + 1 else [sum(counts)]
        return cls(edges=edges, counts=found, sampled=sampled, nonfinite=nonfinite)

    def ready(self) -> bool:
        """Whether `encode` returns without waiting for a device."""
        return all(part.ready() for part in (self._values, self._counts, self._edges) if isinstance(part, Deferred))

    def value(self) -> Histogram:
        """Itself: a histogram may be waited for like any value that lies on a device."""
        return self

    def encode(self) -> Bins:
        """The bins. Called off the training thread.

        Raises:
            UsageError: the values are no numbers, or edges and counts do not fit.
        """
        if self._counts is None:
            counted = count(_resolved(self._values), min(max(1, int(self.num_bins)), MOST_BINS))
            return counted._replace(nonfinite=counted.nonfinite + self._nonfinite)
        edges, counts = _floats(_resolved(self._edges)), _floats(_resolved(self._counts))
        if len(edges) != len(counts) + 1 or not all(low < high for low, high in pairwise(edges)):
            raise UsageError(
                f"a histogram of {len(counts)} counts needs {len(counts) + 1} rising edges, not {len(edges)}"
            )
        return Bins(edges, counts, self._nonfinite)


def count(values: Any, bins: int) -> Bins:
    """Count numbers into equal bins; NaN and infinities are counted apart.

    Raises:
        UsageError: there is not a single finite number.
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None and not isinstance(values, list | tuple):
        return _counted_by_numpy(values, bins, numpy)
    numbers = _floats(values)
    finite = [number for number in numbers if math.isfinite(number)]
    if not finite:
        raise UsageError("a histogram needs at least one finite number")
    edges = equal_edges(min(finite), max(finite), bins)
    return Bins(edges, _counted(finite, edges), len(numbers) - len(finite))


def equal_edges(low: float, high: float, bins: int) -> list[float]:
    """The edges of `bins` equal bins; fewer where floats between `low` and `high` are too few, around a single value."""
    if low == high:
        low, high = min(low - 0.5, math.nextafter(low, -math.inf)), max(high + 0.5, math.nextafter(high, math.inf))
    step = (high - low) / bins
    edges = [index * step + low for index in range(bins)] + [high]
    rising = all(before < after for before, after in pairwise(edges))
    return edges if rising and math.isfinite(step) else [low, high]


def _counted(finite: Sequence[float], edges: list[float]) -> list[float]:
    bins = len(edges) - 1
    counts = [0.0] * bins
    low, width = edges[0], edges[-1] - edges[0]
    for number in finite:
        index = min(int((number - low) / width * bins), bins - 1) if bins > 1 else 0
        if number < edges[index]:
            index -= 1
        elif index < bins - 1 and number >= edges[index + 1]:
            index += 1
        counts[index] += 1.0
    return counts


def _counted_by_numpy(values: Any, bins: int, numpy: Any) -> Bins:
    array = _flat(values, numpy)
    finite = array[numpy.isfinite(array)]
    if not finite.size:
        raise UsageError("a histogram needs at least one finite number")
    edges = equal_edges(float(finite.min()), float(finite.max()), bins)
    nonfinite = array.size - finite.size
    one_bin = Bins([edges[0], edges[-1]], [float(finite.size)], nonfinite)
    if len(edges) == len(one_bin.edges):
        return one_bin
    try:
        counts, exact = numpy.histogram(finite, bins=bins, range=(edges[0], edges[-1]))
    except ValueError:  # floats of this size in between are too few for so many bins
        return one_bin if array.itemsize >= _DOUBLE else _counted_by_numpy(array.astype("float64"), bins, numpy)
    return Bins([float(edge) for edge in exact], [float(number) for number in counts], nonfinite)


def _flat(values: Any, numpy: Any) -> Any:
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.to_dense() if str(values.layout) != "torch.strided" else values
        values = values.float() if values.is_floating_point() and values.itemsize <= 2 else values  # noqa: PLR2004 - bytes
    array = numpy.asarray(values).reshape(-1)
    if array.dtype.kind in "biu":
        return array.astype("float64")
    if array.dtype.kind == "V" and array.dtype.names is None:
        return array.astype("float32")
    if array.dtype.kind != "f":
        raise UsageError(f"a histogram needs numbers, not an array of {array.dtype}")
    return array.astype("float32") if array.dtype.itemsize == 2 else array  # noqa: PLR2004 - bytes


def _held(values: Any) -> Any:
    return tuple(values) if isinstance(values, list) else hold(values)


def _resolved(values: Any) -> Any:
    values = values.value() if isinstance(values, Deferred) else values
    if isinstance(values, Unsupported):
        raise UsageError(values.reason)
    return values


def _floats(values: Any) -> list[float]:
    """A list of floats from any list, array or tensor of numbers."""
    items: Iterable[Any] = values.reshape(-1).tolist() if hasattr(values, "reshape") else values
    try:
        numbers = [number if type(number) is float else scalar(number) for number in items]
    except TypeError:
        numbers = [None]
    kept = [float(number) for number in numbers if number is not None]
    if len(kept) != len(numbers):
        raise UsageError(f"a histogram needs numbers, not a {type(values).__name__} with something else in it")
    return kept
