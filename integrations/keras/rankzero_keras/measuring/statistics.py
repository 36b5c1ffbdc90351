"""Gradients and parameters measured with Keras's own operations: the same on every backend, and inside of compiled steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from rankzero.plugin import Histogram
from rankzero_keras.measuring.wanted import Wanted

BINS = 64
SAMPLE = 4096
"""Elements of a tensor that a histogram or an update ratio takes at most: an even sample, and it says so."""

_TINY = 1.2e-38  # the smallest normal float32
_HEAD = 4  # lowest, highest, non-finite, sampled, ahead of the counts


class Sample:
    """What one optimizer step has to say: numbers by name, and counts of histograms by name.

    Args:
        place: where it is taken, see `taps.place`.
    """

    def __init__(self, place: Any = None) -> None:
        self.place = place
        self.numbers: dict[str, Any] = {}
        self.counted: dict[str, Any] = {}

    def add_gradients(self, wanted: Wanted, named: list[tuple[str, Any]]) -> None:
        """Measure gradients."""
        named = [(name, barrier(_dense(gradient))) for name, gradient in named]
        squares = {name: _square_sum(gradient) for name, gradient in named}
        self.numbers["grad/norm"] = ops.sqrt(_total(squares.values()))
        self.numbers["grad/nonfinite"] = _total(_nonfinite(gradient) for _, gradient in named)
        for name, gradient in named:
            if wanted.gradients:
                self.numbers[f"grad/norm/{name}"] = ops.sqrt(squares[name])
                self.numbers[f"grad/max/{name}"] = ops.cast(ops.max(ops.abs(gradient)), "float32")
            if wanted.gradients and wanted.histograms:
                self.counted[f"grad/hist/{name}"] = _count(gradient)

    def add_unclipped(self, gradients: list[Any]) -> None:
        """Measure gradients that are about to be clipped."""
        self.numbers["grad/norm_unclipped"] = ops.sqrt(_total(_square_sum(_dense(gradient)) for gradient in gradients))

    def add_parameters(self, wanted: Wanted, named: list[tuple[str, Any]]) -> None:
        """Measure parameters after the step."""
        named = [(name, barrier(value)) for name, value in named]
        squares = {name: _square_sum(value) for name, value in named}
        self.numbers["weight/norm"] = ops.sqrt(_total(squares.values()))
        for name, value in named:
            self.numbers[f"weight/norm/{name}"] = ops.sqrt(squares[name])
            if wanted.histograms:
                self.counted[f"weight/hist/{name}"] = _count(value)

    def add_updates(self, before: list[tuple[str, Any]], after: list[Any]) -> None:
        """Measure how far parameters were moved, by even samples of them before and after."""
        for (name, old), new in zip(before, after, strict=True):
            moved = ops.cast(barrier(new), "float32") - ops.cast(old, "float32")
            from_ = _square_sum(old)
            ratio = ops.sqrt(_square_sum(moved) / ops.maximum(from_, _TINY))
            self.numbers[f"update/ratio/{name}"] = ops.where(from_ > 0, ratio, float("nan"))

    def packed(self) -> tuple[list[str], list[str], Any]:
        """The names of numbers, those of histograms, and all of it in one row of float32, in their order."""
        parts = [ops.reshape(number, (1,)) for number in self.numbers.values()]
        vector = ops.concatenate([*parts, *self.counted.values()])
        return list(self.numbers), list(self.counted), ops.expand_dims(vector, 0)


def joined(samples: Iterable[tuple[str, Sample]]) -> Sample:
    """What several optimizers' steps have to say, each with a suffix for its names."""
    whole = Sample()
    for suffix, sample in samples:
        whole.numbers |= {f"{name}{suffix}": number for name, number in sample.numbers.items()}
        whole.counted |= {f"{name}{suffix}": counts for name, counts in sample.counted.items()}
    return whole


def unpacked(names: list[str], histograms: list[str], row: Any) -> dict[str, Any]:
    """What `Sample.packed` made, on the host: metrics by name."""
    numbers = [float(number) for number in row.reshape(-1)]
    found: dict[str, Any] = dict(zip(names, numbers, strict=False))
    for index, name in enumerate(histograms):
        begin = len(names) + index * (BINS + _HEAD)
        low, high, bad, sampled, *counts = numbers[begin : begin + BINS + _HEAD]
        found[name] = Histogram.between(low, high, counts, sampled=bool(sampled), nonfinite=int(bad))
    return found


def even_sample(value: Any) -> Any:
    """A copy of at most `SAMPLE` elements that no later change reaches."""
    return ops.copy(_strided(ops.reshape(value, (-1,))))


def barrier(value: Any) -> Any:
    """The value, where a compiler may not weave what is made of it into the computation that it comes from."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.lax.optimization_barrier(value)
    if hasattr(value, "detach"):
        return value.detach()
    return value


def _dense(gradient: Any) -> Any:
    """A gradient of an embedding that TensorFlow keeps as rows and where they belong, as one tensor."""
    return ops.convert_to_tensor(gradient, sparse=False)


def _strided(flat: Any) -> Any:
    size = flat.shape[0]
    return flat[:: -(-size // SAMPLE)] if size > SAMPLE else flat


def _square_sum(value: Any) -> Any:
    wide = ops.cast(value, "float32")
    return ops.sum(wide * wide)


def _nonfinite(value: Any) -> Any:
    return ops.sum(ops.cast(ops.logical_not(ops.isfinite(value)), "float32"))


def _total(parts: Any) -> Any:
    return ops.sum(ops.stack(list(parts)))


def _count(value: Any) -> Any:
    """Lowest and highest finite value, number of non-finite ones, whether sampled, and the counts between."""
    size = 1
    for length in value.shape:
        size *= int(length)
    flat = ops.cast(_strided(ops.reshape(value, (-1,))), "float32")
    good = ops.isfinite(flat)
    low = ops.min(ops.where(good, flat, float("inf")))
    high = ops.max(ops.where(good, flat, float("-inf")))
    place = ops.where(good, (flat - low) * (BINS / ops.maximum(high - low, _TINY)), 0.0)
    bins = ops.cast(ops.clip(place, 0, BINS - 1), "int32")
    kept = ops.cast(good, "float32")
    counts = ops.segment_sum(kept, bins, num_segments=BINS)
    sampled = ops.convert_to_tensor(float(size > SAMPLE), "float32")
    bad = float(flat.shape[0]) - ops.sum(kept)
    return ops.concatenate([ops.stack([low, high, bad, sampled]), ops.cast(counts, "float32")])
