"""Tensors on their way from a device to the host, while the training goes on."""

from __future__ import annotations

from typing import Any

_lanes: dict[Any, Any] = {}
"""A stream per device beside the one the training uses."""


class Held:
    """A tensor kept on a device that has no way to say when a copy is done; whoever asks for the value waits for it."""

    __slots__ = ("_tensor",)

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def ready(self) -> bool:
        """Always: reading it waits, but nobody else does."""
        return True

    def value(self) -> Any:
        """The tensor on the CPU."""
        return self._tensor.cpu()


class Transfer:
    """A copy to pinned host memory that was begun; the device's memory is free again when it is done."""

    __slots__ = ("_event", "_host")

    def __init__(self, host: Any, event: Any) -> None:
        self._host = host
        self._event = event

    def ready(self) -> bool:
        """Whether the copy is done."""
        return bool(self._event.query())

    def value(self) -> Any:
        """The tensor on the CPU; waits for the copy if need be."""
        self._event.synchronize()
        return self._host


def transfer(tensor: Any, torch: Any) -> Transfer:
    """Begin to copy a detached CUDA tensor to the host; returns at once.

    The clone is made on the training's stream, for the tensor may be overwritten by the next in-place operation or graph
    replay. The side stream waits for it, so the training never waits for the copy.
    """
    cuda, device = torch.cuda, tensor.device
    lane = _lanes.get(device)
    if lane is None:
        lane = _lanes[device] = cuda.Stream(device)
    clone = tensor.clone()
    lane.wait_stream(cuda.current_stream(device))
    with cuda.stream(lane):
        host = torch.empty(clone.shape, dtype=clone.dtype, device="cpu", pin_memory=True)
        host.copy_(clone, non_blocking=True)
        clone.record_stream(lane)
        event = cuda.Event()
        event.record(lane)
    return Transfer(host, event)
