"""Norms, largest values and counts of many tensors in a few operations, left on their devices."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rankzero_pytorch.internals import BIGGEST_SUM, foreach_norm


class Kinds:
    """Tensors in groups that one fused operation takes together: of one device and dtype.

    Attributes:
        groups: the tensors, group by group.
        order: the position that each of them had, group by group.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        groups: dict[tuple[torch.device, torch.dtype], list[int]] = defaultdict(list)
        for position, tensor in enumerate(tensors):
            groups[tensor.device, tensor.dtype].append(position)
        self.groups = [[tensors[position] for position in positions] for positions in groups.values()]
        self.order = [position for positions in groups.values() for position in positions]

    def each(self, measure: Callable[[list[Tensor]], Tensor]) -> list[Tensor]:
        """One vector a group: what `measure` finds for each of its tensors."""
        return [measure(group) for group in self.groups]

    def release(self) -> None:
        """Hold the tensors no longer."""
        self.groups = []

    def sorted(self, found: Sequence[float]) -> list[float]:
        """What was found for each tensor, group by group, in the tensors' original order."""
        values = [0.0] * len(self.order)
        for position, value in zip(self.order, found, strict=True):
            values[position] = value
        return values


def norms(tensors: list[Tensor]) -> Tensor:
    """The L2 norm of each tensor of a group, accurate to 1e-4 at any size; they are strided, real and not empty."""
    if tensors[0].device.type != "cpu" or all(tensor.numel() <= BIGGEST_SUM for tensor in tensors):
        return torch.stack(foreach_norm(tensors))
    pieces: list[Tensor] = []
    lengths: list[int] = []
    for tensor in tensors:
        parts = _pieces(tensor)
        pieces.extend(parts)
        lengths.append(len(parts))
    squares = torch.stack([_square(piece) for piece in pieces])
    return torch.stack([part.sum() for part in squares.split_with_sizes(lengths)]).sqrt_()


def norms_in_double(tensors: list[Tensor]) -> Tensor:
    """The same for tensors whose squares overflow float32; ten times slower on a CPU."""
    return torch.stack([torch.linalg.vector_norm(tensor, dtype=torch.float64) for tensor in tensors])


def largest(tensors: list[Tensor]) -> Tensor:
    """The largest absolute value in each tensor of a group, NaN where there is one."""
    return torch.stack([torch.maximum(low.neg(), high) for low, high in map(torch.aminmax, tensors)])


def count_nonfinite(tensors: list[Tensor]) -> Tensor:
    """How many elements of each tensor are NaN or infinite: a pass over everything, with a mask in memory."""
    return torch.stack([torch.isfinite(tensor).logical_not_().sum() for tensor in tensors])


def finite(vectors: Sequence[Tensor]) -> bool | None:
    """Whether all elements are finite; None where asking would make the host wait for a device."""
    if any(vector.device.type != "cpu" for vector in vectors):
        return None
    return all(math.isfinite(vector.sum().item()) for vector in vectors)


def _square(piece: Tensor) -> Tensor:
    """The square of a norm on a CPU; the product of a vector with itself is the quickest way there, and the most accurate."""
    if piece.dtype is torch.float32 and piece.is_contiguous():
        flat = piece.view(-1)
        product: Tensor = torch.dot(flat, flat)
        return product.double()
    norm: Tensor = torch.linalg.vector_norm(piece)
    return norm.double().square_()


def _pieces(tensor: Tensor) -> list[Tensor]:
    if tensor.numel() <= BIGGEST_SUM:
        return [tensor]
    return list(tensor.chunk(-(-tensor.numel() // BIGGEST_SUM)))
