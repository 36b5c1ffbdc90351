"""Arrays and tensors made safe from whatever the training does next, without waiting for any device."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from rankzero.run.values.transfers import Held, transfer

_MOST_TYPES = 500


@runtime_checkable
class Deferred(Protocol):
    """A value that exists later. `value()` before `ready()` may wait; both are called by the writer thread."""

    def ready(self) -> bool:
        """Whether `value` returns at once."""
        raise NotImplementedError

    def value(self) -> Any:
        """The value. Of a dict the items stand in the row in place of the key."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Stands for a value that cannot be recorded; `reason` says what to do instead."""

    reason: str


def hold(value: Any) -> Any:
    """A copy of an array or tensor that later changes do not reach; anything else as it is.

    - torch on the CPU: a detached clone, so that in-place updates are harmless and the graph is freed.
    - torch on CUDA: cloned on its device and copied to the host by another stream; a `Deferred`.
    - torch on any other device: cloned there; a `Deferred` that is read by the thread that asks for its value.
    - jax: itself (it cannot change), its copy to the host begun; a `Deferred`.
    - numpy: a copy. tensorflow: variables are read into a tensor, tensors cannot change.
    - What has no value here (on the meta device, traced, or spread over processes): `Unsupported`.
    """
    kind = type(value)
    holder = _holders.get(kind)
    if holder is None:
        if len(_holders) >= _MOST_TYPES:
            _holders.clear()
        holder = _holders[kind] = _choose(kind)
    return holder(value)


def _choose(kind: type) -> Callable[[Any], Any]:
    """How values of this class are held; decided once per class, by the libraries that are loaded."""
    if _is_of(kind, "torch", "Tensor"):
        return _hold_distributed if hasattr(kind, "full_tensor") else _hold_torch
    if _is_of(kind, "jax", "Array"):
        return _hold_jax
    if _is_of(kind, "jax.core", "Tracer"):
        return _refuse_traced
    if _is_of(kind, "numpy", "ndarray"):
        return _hold_numpy
    return _read_variable if hasattr(kind, "read_value") else _same


def _is_of(kind: type, library: str, name: str) -> bool:
    found = getattr(sys.modules.get(library), name, None)
    return isinstance(found, type) and issubclass(kind, found)


def _same(value: Any) -> Any:
    return value


def _hold_numpy(value: Any) -> Any:
    return value.copy()


def _read_variable(value: Any) -> Any:
    return value.read_value()


def _hold_torch(value: Any) -> Any:
    device = value.device.type
    if device == "cpu":
        return value.detach().clone()
    if device == "meta":
        return Unsupported("a tensor on the meta device has no value")
    if device != "cuda":
        return Held(value.detach().clone())
    torch = sys.modules["torch"]
    if torch.cuda.is_current_stream_capturing():
        return Unsupported("a tensor cannot be logged while a CUDA graph is being captured; log it after the replay")
    return transfer(value.detach(), torch)


def _hold_distributed(value: Any) -> Any:
    """A DTensor: its own part is the whole only where it is replicated; the whole of any other would need a collective."""
    if value.device_mesh.size() == 1 or all(placement.is_replicate() for placement in value.placements):
        return hold(value.to_local())
    return Unsupported("a DTensor that is spread over ranks has no value on one of them; log its full_tensor()")


class _JaxArray:
    """A jax array on its way to the host."""

    __slots__ = ("_array",)

    def __init__(self, array: Any) -> None:
        self._array = array

    def ready(self) -> bool:
        return bool(self._array.is_deleted() or self._array.is_ready())

    def value(self) -> Any:
        if self._array.is_deleted():
            return Unsupported("a jax array was donated to a jitted function before it was read; log a copy of it")
        return sys.modules["numpy"].asarray(self._array)


def _refuse_traced(value: Any) -> Any:
    return Unsupported("a value inside a traced jax function has no number yet; log what the function returns")


def _hold_jax(value: Any) -> Any:
    if value.is_deleted():
        return Unsupported("a jax array was donated to a jitted function before it was logged; log a copy of it")
    if not (value.is_fully_addressable or value.is_fully_replicated):
        return Unsupported("a jax array that is spread over processes has no value in one of them; replicate it first")
    value.copy_to_host_async()
    return _JaxArray(value)


_holders: dict[type, Callable[[Any], Any]] = {}
