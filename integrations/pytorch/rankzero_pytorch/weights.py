"""Parameters after an optimizer step, and how far the step moved them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from rankzero_pytorch import histograms, norms
from rankzero_pytorch.gradients import Numbers, read_histograms
from rankzero_pytorch.histograms import Sampler
from rankzero_pytorch.parameters import Layout, Parameter, local
from rankzero_pytorch.wanted import Names, Wanted


class Weights:
    """A measurement of parameters on their devices. Made before the step; `after` takes the rest of it.

    The update ratio is the norm of the step over the norm of the parameter before it, both over the same even sample of up to
    4,096 elements: exact for small tensors, and never a second copy of the model.
    """

    def __init__(self, parameters: Sequence[Parameter], lies: Layout, wanted: Wanted, sampler: Sampler) -> None:
        held = [(parameter.name, local(parameter.tensor.detach(), lies)) for parameter in parameters]
        kept = [(name, part) for name, part in held if part is not None]
        self._names = [name for name, _ in kept]
        self._copies = [part.copies for _, part in kept]
        self._tensors = [part.tensor for _, part in kept]
        self._sizes = [tensor.numel() for tensor in self._tensors]
        self._wanted = wanted
        self._sampler = sampler
        self._before = sampler.take(self._tensors) if wanted.more else []
        self._positions: list[list[int]] = []
        self._kinds = norms.Kinds(self._tensors)
        self.bytes_read = sum(tensor.numel() * tensor.element_size() for tensor in self._tensors)
        self.vectors: dict[str, list[Tensor]] = {}

    def after(self) -> None:
        """The step is done: measure the parameters as they are now."""
        if not self._tensors:
            return
        self.vectors["weights"] = self._kinds.each(norms.norms)
        sampled = self._wanted.more or self._wanted.histograms == "sampled"
        matrices = self._sampler.take(self._tensors) if sampled else []
        if sampled:
            self._positions = [matrix.positions for matrix in matrices]
        if self._wanted.more:
            pairs = list(zip(matrices, self._before, strict=True))
            self._before = []
            self.vectors["moved"] = [_squares(after.rows - before.rows) for after, before in pairs]
            self.vectors["from"] = [_squares(before.rows) for _, before in pairs]
        if self._wanted.histograms == "sampled":
            self.vectors["weight histograms"] = [histograms.count(matrix.rows) for matrix in matrices]
        elif self._wanted.histograms == "exact":
            self.vectors["weight histograms"] = [histograms.count_all(tensor) for tensor in self._tensors]
        self._kinds.release()
        self._tensors = []

    def write(self, row: dict[str, Any], numbers: Numbers, names: Names) -> None:
        """Put the metrics into a row, from the numbers that arrived."""
        if not numbers.get("weights"):
            return
        values = self._kinds.sorted(numbers["weights"])
        squares = [value * value / copies for value, copies in zip(values, self._copies, strict=True)]
        names.put_root(row, names.key("weight/norm"), sum(squares))
        if self._wanted.each:
            for name, square in zip(self._names, squares, strict=True):
                names.put_root(row, names.key("weight/norm", name), square)
        if "moved" in numbers:
            self._write_ratios(row, numbers, names)
        if "weight histograms" in numbers:
            exact = self._wanted.histograms == "exact"
            positions = [[i] for i in range(len(self._names))] if exact else self._positions
            found = read_histograms(numbers["weight histograms"], positions, self._sizes, self._wanted)
            for name, histogram in zip(self._names, found, strict=True):
                row[names.key("weight/hist", name)] = histogram

    def _write_ratios(self, row: dict[str, Any], numbers: Numbers, names: Names) -> None:
        order = [position for found in self._positions for position in found]
        for position, moved, before in zip(order, numbers["moved"], numbers["from"], strict=True):
            size = self._sizes[position]
            share = size / min(size, histograms.SAMPLE) / self._copies[position]
            names.put_root(row, names.key("update/ratio", self._names[position]), moved * share, before * share)


def _squares(matrix: Tensor) -> Tensor:
    return matrix.square().sum(1)
