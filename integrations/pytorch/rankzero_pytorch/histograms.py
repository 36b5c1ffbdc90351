"""Distributions of many tensors' values: of an even sample of each in a few operations, or of all values on request."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rankzero.plugin import Histogram
from rankzero_pytorch.internals import BIGGEST_SUM
from rankzero_pytorch.parameters import flat

BINS = 64
SAMPLE = 4096
"""Elements taken from a tensor at most; a tensor with no more than these is taken whole."""

_HEAD = 3  # lowest, highest, non-finite, ahead of the counts


@dataclass(frozen=True, slots=True)
class Matrix:
    """The samples of tensors of the same size: a row each, `positions` says whose."""

    positions: list[int]
    rows: Tensor


class Sampler:
    """Takes an even sample of each tensor: the same elements every time."""

    def __init__(self) -> None:
        self._indices: dict[tuple[int, torch.device], Tensor] = {}

    def take(self, tensors: Sequence[Tensor]) -> list[Matrix]:
        """Copies of samples, at least float32, in as few matrices as there are sample sizes."""
        views: dict[tuple[int, torch.device, torch.dtype], list[tuple[int, Tensor]]] = defaultdict(list)
        for position, tensor in enumerate(tensors):
            view = self._view(tensor)
            views[view.numel(), view.device, view.dtype].append((position, view))
        return [
            Matrix([position for position, _ in found], _at_least_float32(torch.stack([view for _, view in found])))
            for found in views.values()
        ]

    def _view(self, tensor: Tensor) -> Tensor:
        size = tensor.numel()
        elements = flat(tensor)
        if size <= SAMPLE:
            return elements
        index = self._indices.get((size, tensor.device))
        if index is None:
            index = torch.arange(SAMPLE, device=tensor.device) * size // SAMPLE
            self._indices[size, tensor.device] = index
        return elements.index_select(0, index)


def count(matrix: Tensor) -> Tensor:
    """A histogram of each row: lowest and highest finite value, number of non-finite ones, and `BINS` counts between."""
    if _on_host(matrix) and math.isfinite(matrix.sum().item()):
        low, high = torch.aminmax(matrix, dim=1, keepdim=True)
        weights = torch.ones_like(matrix)
    else:
        good = torch.isfinite(matrix)
        low = torch.where(good, matrix, math.inf).amin(1, keepdim=True)
        high = torch.where(good, matrix, -math.inf).amax(1, keepdim=True)
        weights = good.to(matrix.dtype)
    scale = BINS / (high - low).clamp_min_(torch.finfo(matrix.dtype).tiny)
    bins = (matrix - low).mul_(scale).nan_to_num_(0.0, BINS, 0.0).clamp_(0, BINS - 1).long()
    bins += torch.arange(0, len(matrix) * BINS, BINS, device=matrix.device)[:, None]
    counts = torch.zeros(len(matrix) * BINS, dtype=matrix.dtype, device=matrix.device)
    counts.scatter_add_(
        0, bins.view(-1), weights.view(-1)
    )  # of one dimension it is deterministic where that is asked for
    bad = matrix.shape[1] - weights.sum(1, keepdim=True)
    return torch.cat([low, high, bad, counts.view(-1, BINS)], 1)


def count_all(tensor: Tensor) -> Tensor:
    """The same over every element of one tensor, as one row; memory stays bounded."""
    elements = flat(tensor)
    if _on_host(elements):
        bottom, top = (bound.item() for bound in torch.aminmax(elements))
        if math.isfinite(bottom) and math.isfinite(top):
            pieces = [
                torch.histc(_at_least_float32(part), BINS, bottom, top) for part in _pieces(elements, BIGGEST_SUM)
            ]
            return torch.cat([torch.tensor([bottom, top, 0.0]), torch.stack(pieces).double().sum(0)])
    parts = [_at_least_float32(part) for part in _pieces(elements, 4 * BIGGEST_SUM)]
    low, high = _finite_range(parts)
    counts = torch.zeros(BINS + _HEAD, dtype=torch.float32, device=elements.device)
    scale = BINS / (high - low).clamp_min_(torch.finfo(torch.float32).tiny)
    for part in parts:
        good = torch.isfinite(part)
        bins = ((part - low) * scale).nan_to_num_(0.0, BINS, 0.0).clamp_(0, BINS - 1).long().add_(_HEAD)
        counts.scatter_add_(0, bins, good.to(counts.dtype))
        counts[2] += good.logical_not_().sum()
    counts[0], counts[1] = low, high
    return counts


def decode(row: Sequence[float], *, sampled: bool) -> Histogram:
    """The histogram that a row of `count` or `count_all` describes."""
    low, high, bad, *counts = row
    return Histogram.between(low, high, counts, sampled=sampled, nonfinite=int(bad))


def rows(numbers: Sequence[float]) -> list[Sequence[float]]:
    """The rows that lie one behind the other."""
    width = BINS + _HEAD
    return [numbers[start : start + width] for start in range(0, len(numbers), width)]


def _pieces(elements: Tensor, largest: int) -> list[Tensor]:
    return list(elements.chunk(-(-elements.numel() // largest)))


def _finite_range(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    lows = [torch.where(torch.isfinite(part), part, math.inf).amin() for part in parts]
    highs = [torch.where(torch.isfinite(part), part, -math.inf).amax() for part in parts]
    return torch.stack(lows).amin(), torch.stack(highs).amax()


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _on_host(tensor: Tensor) -> bool:
    """Whether the host may look at the numbers without waiting for a device."""
    return tensor.device.type == "cpu"
