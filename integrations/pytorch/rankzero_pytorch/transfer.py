"""From a device to the host without making the training thread wait."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

PINNED = frozenset({"cuda", "xpu"})
"""Devices whose copies into pinned memory run by themselves; of others the writer thread reads, and waits, itself."""


class Transfer:
    """Vectors on their way to the host, one copy a device.

    The copy is queued on the current stream: it sees what came before it and is over before the memory is used again,
    CUDA graphs' outputs included.
    """

    def __init__(self, vectors: Sequence[Tensor]) -> None:
        self._sizes = [vector.numel() for vector in vectors]
        self._places: list[tuple[torch.device, int]] = []
        by_device: dict[torch.device, list[Tensor]] = defaultdict(list)
        offsets: dict[torch.device, int] = defaultdict(int)
        for vector in vectors:
            device = vector.device
            self._places.append((device, offsets[device]))
            offsets[device] += vector.numel()
            by_device[device].append(_wide(vector))
        self._arriving = {device: _Copy(torch.cat(parts)) for device, parts in by_device.items()}

    def ready(self) -> bool:
        """Whether everything has arrived."""
        return all(copy.ready() for copy in self._arriving.values())

    def lists(self) -> list[list[float]]:
        """The vectors' elements, in the order in which they were given; waits for what has not arrived."""
        found = {device: copy.numbers() for device, copy in self._arriving.items()}
        return [
            found[device][offset : offset + size]
            for (device, offset), size in zip(self._places, self._sizes, strict=True)
        ]


class Reading:
    """Measurements still on their device, logged like a value: see `rankzero.plugin.Deferred`.

    Args:
        vectors: the measurements by name, each in one or several vectors.
        decode: from the numbers by name to the metrics of a row.
    """

    def __init__(
        self, vectors: dict[str, list[Tensor]], decode: Callable[[dict[str, list[float]]], dict[str, Any]]
    ) -> None:
        self._names = [name for name, parts in vectors.items() for _ in parts]
        self._transfer = Transfer([part for parts in vectors.values() for part in parts])
        self._decode = decode

    def ready(self) -> bool:
        """Whether `value()` returns without waiting."""
        return self._transfer.ready()

    def value(self) -> dict[str, Any]:
        """The metrics by name."""
        numbers: dict[str, list[float]] = {name: [] for name in self._names}
        for name, part in zip(self._names, self._transfer.lists(), strict=True):
            numbers[name].extend(part)
        return self._decode(numbers)


class _Copy:
    def __init__(self, source: Tensor) -> None:
        self._source: Tensor | None = source
        self._event: torch.Event | None = None
        self._host = source
        if source.device.type in PINNED:
            self._host = torch.empty(source.shape, dtype=source.dtype, pin_memory=True)
            self._host.copy_(source, non_blocking=True)
            self._event = torch.Event(source.device)
            self._event.record()

    def ready(self) -> bool:
        return self._event is None or self._event.query()

    def numbers(self) -> list[float]:
        if self._event is not None:
            self._event.synchronize()
        return self._host.tolist()


def _wide(vector: Tensor) -> Tensor:
    """One dimension of the widest float the device has."""
    return vector.detach().reshape(-1).to(torch.float32 if vector.device.type == "mps" else torch.float64)
