"""The gradients an optimizer is about to use: measured on their devices, read on the host."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from rankzero.plugin import Histogram
from rankzero_pytorch import histograms, norms
from rankzero_pytorch.histograms import Sampler
from rankzero_pytorch.parameters import Layout, Parameter, local
from rankzero_pytorch.wanted import Names, Wanted

Numbers = dict[str, list[float]]


@dataclass
class Found:
    """Gradients of some parameters, on the host.

    Attributes:
        names: of the parameters, in the model's order.
        copies: how many ranks hold the same part of each.
        norms: of this rank's part of each.
        nonfinite: how many elements of each are NaN or infinite (on an accelerator at least 1, until they are counted).
        largest: absolute values, where wanted.
        histograms: where wanted.
        unclipped: squares of this rank's part of norms before clipping, where they were clipped.
    """

    names: list[str] = field(default_factory=list)
    copies: list[int] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    nonfinite: list[float] = field(default_factory=list)
    largest: list[float] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    unclipped: list[float] = field(default_factory=list)

    def first_bad(self) -> str | None:
        """The first parameter in the model's order whose gradient is not finite."""
        return next((name for name, bad in zip(self.names, self.nonfinite, strict=True) if bad), None)

    def write(self, row: dict[str, Any], names: Names, wanted: Wanted) -> None:
        """Put the metrics into a row."""
        squares = [norm * norm / copies for norm, copies in zip(self.norms, self.copies, strict=True)]
        names.put_root(row, names.key("grad/norm"), sum(squares))
        if self.unclipped:
            names.put_root(row, names.key("grad/norm_unclipped"), sum(self.unclipped))
        bad = sum(count / copies for count, copies in zip(self.nonfinite, self.copies, strict=True))
        names.put_sum(row, names.key("grad/nonfinite"), bad)
        if wanted.each:
            for name, square in zip(self.names, squares, strict=True):
                names.put_root(row, names.key("grad/norm", name), square)
        for name, value in zip(self.names, self.largest, strict=False):
            names.put_largest(row, names.key("grad/max", name), value)
        for name, histogram in zip(self.names, self.histograms, strict=False):
            row[names.key("grad/hist", name)] = histogram

    def extend(self, other: Found) -> None:
        """Take in another optimizer's gradients."""
        for attribute in ("names", "copies", "norms", "nonfinite", "largest", "histograms", "unclipped"):
            getattr(self, attribute).extend(getattr(other, attribute))


class Gradients:
    """A measurement on the device: `vectors` are to be transferred, `read` makes sense of what arrives. No gradient is kept.

    `bad` is the first parameter whose gradient is not finite, where that can be known now (on a CPU).

    Args:
        parameters: whose gradients; those without one are left out.
        optimizer: the one about to step. One that unscales by itself (fused, under a GradScaler) still holds scaled gradients,
            and the step it will skip because some are infinite is not recorded.
        unclipped: norms before clipping, and how many ranks hold the same part of each.
        count: on an accelerator, count non-finite elements; otherwise only parameters that have any are counted.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lies: Layout,
        wanted: Wanted,
        sampler: Sampler,
        optimizer: Optimizer,
        *,
        unclipped: Sequence[tuple[Tensor, int]] = (),
        count: bool = False,
    ) -> None:
        held = [(p.name, local(p.tensor.grad, lies)) for p in parameters if p.tensor.grad is not None]
        kept = [(name, part) for name, part in held if part is not None]
        self._names = [name for name, _ in kept]
        self._copies = [part.copies for _, part in kept]
        self._sampled: list[list[int]] = []
        tensors = [part.tensor for _, part in kept]
        self._sizes = [tensor.numel() for tensor in tensors]
        self._unclipped_copies = [copies for _, copies in unclipped]
        self.bad: str | None = None
        self.bytes_read = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        self._kinds = norms.Kinds(tensors)
        self.vectors: dict[str, list[Tensor]] = {}
        if not tensors:
            return
        scale, infinite = _scaling(optimizer)
        self._measure_norms(scale, count=count)
        if wanted.more:
            self.vectors["largest"] = [_unscaled(vector, scale) for vector in self._kinds.each(norms.largest)]
        if wanted.histograms == "sampled":
            matrices = sampler.take(tensors)
            self._sampled = [matrix.positions for matrix in matrices]
            self.vectors["histograms"] = [histograms.count(_unscaled(matrix.rows, scale)) for matrix in matrices]
        elif wanted.histograms == "exact":
            self._sampled = [[position] for position in range(len(tensors))]
            self.vectors["histograms"] = [histograms.count_all(_unscaled(tensor, scale)) for tensor in tensors]
        if infinite is not None:
            self.vectors["skipped"] = [infinite]
            self.bad = None  # it will not be used
        if unclipped:
            self.vectors["unclipped"] = [_unscaled(norm, scale) for norm, _ in unclipped]
        self._kinds.release()

    def read(self, numbers: Numbers, wanted: Wanted) -> Found:
        """What was measured, from the numbers that arrived; nothing for a step that is skipped."""
        if not numbers.get("norms") or any(numbers.get("skipped", ())):
            return Found()
        found = Found(self._names, self._copies, self._kinds.sorted(numbers["norms"]))
        counted = numbers.get("nonfinite")
        if counted is not None:
            found.nonfinite = self._kinds.sorted(counted)
        else:
            found.nonfinite = [0.0 if math.isfinite(norm) else 1.0 for norm in found.norms]
        if "unclipped" in numbers:
            pairs = zip(numbers["unclipped"], self._unclipped_copies, strict=True)
            found.unclipped = [norm * norm / copies for norm, copies in pairs]
        if "largest" in numbers:
            found.largest = self._kinds.sorted(numbers["largest"])
        if "histograms" in numbers:
            found.histograms = read_histograms(numbers["histograms"], self._sampled, self._sizes, wanted)
        return found

    def _first_bad(self, counts: Sequence[Tensor]) -> str | None:
        """The first parameter in the model's order whose gradient is not finite."""
        found = self._kinds.sorted([count for vector in counts for count in vector.tolist()])
        return next((name for name, bad in zip(self._names, found, strict=True) if bad), None)

    def _measure_norms(self, scale: Tensor | None, *, count: bool) -> None:
        vectors = self._kinds.each(norms.norms)
        finite = norms.finite(vectors)
        if finite is False or (finite is None and count):
            self.vectors["nonfinite"] = self._kinds.each(norms.count_nonfinite)
            if finite is False:  # squares of large numbers overflow too
                vectors = self._kinds.each(norms.norms_in_double)
                self.bad = self._first_bad(self.vectors["nonfinite"])
        self.vectors["norms"] = [_unscaled(vector, scale) for vector in vectors]


def read_histograms(
    numbers: Sequence[float], positions: Sequence[Sequence[int]], sizes: Sequence[int], wanted: Wanted
) -> list[Histogram]:
    """The histograms of tensors, in order, from the rows of matrices whose positions are given."""
    order = [position for found in positions for position in found]
    made: dict[int, Histogram] = {}
    for position, row in zip(order, histograms.rows(numbers), strict=True):
        sampled = wanted.histograms == "sampled" and sizes[position] > histograms.SAMPLE
        made[position] = histograms.decode(row, sampled=sampled)
    return [made[position] for position in range(len(order))]


def _scaling(optimizer: Optimizer) -> tuple[Tensor | None, Tensor | None]:
    """By what the gradients are still multiplied, and whether the step will be skipped: both on the device, or None."""
    scale, infinite = getattr(optimizer, "grad_scale", None), getattr(optimizer, "found_inf", None)
    return (
        scale if isinstance(scale, torch.Tensor) else None,
        infinite if isinstance(infinite, torch.Tensor) else None,
    )


def _unscaled(tensor: Tensor, scale: Tensor | None) -> Tensor:
    return tensor if scale is None else tensor / scale.to(tensor.device, non_blocking=True)
