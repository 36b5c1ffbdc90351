"""The numbers that Keras hands to callbacks, perhaps still being computed, read without making the training wait."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

PLAIN = frozenset({int, float, bool})


class Arriving:
    """The logs of a batch or an epoch, logged like a value: see `rankzero.plugin.Deferred`.

    Of JAX, copies to the host begin here. TensorFlow cannot say when a value is there: whoever reads it waits, and that is not
    the thread that trains.
    """

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values
        for value in values.values():
            if hasattr(value, "copy_to_host_async"):
                value.copy_to_host_async()

    def ready(self) -> bool:
        """Whether `value()` returns without waiting, as far as the backend can tell."""
        return all(value.is_ready() for value in self._values.values() if hasattr(value, "is_ready"))

    def value(self) -> dict[str, Any]:
        """The numbers by name."""
        return {name: number for name, value in self._values.items() if (number := _number(value)) is not None}


def row_of(logs: Any) -> dict[str, Any]:
    """A row for `Run.log` from what a callback was given: plain numbers as they are, the others as one that is arriving."""
    if not isinstance(logs, Mapping):
        return {}
    row = {name: value for name, value in logs.items() if type(value) in PLAIN}
    others = {name: _kept(value) for name, value in logs.items() if name not in row}
    if others:
        row["logs"] = Arriving(others)
    return row


def _kept(value: Any) -> Any:
    """What a later step does not overwrite. A number on a CPU is there: it is read at once."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        if value.device.type == "cpu" and value.numel() == 1:
            return value.item()
        return value.detach().clone()
    return value


def _number(value: Any) -> Any:
    """A float, an array, or None for what is neither or was given away to a later step before it could be read."""
    if isinstance(value, int | float):
        return value
    if hasattr(value, "is_deleted") and value.is_deleted():
        return None
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    found = np.asarray(value)
    if found.dtype == object or (found.dtype.kind not in "biuf" and found.dtype.name != "bfloat16"):
        return None
    return float(found.reshape(())) if found.size == 1 else found
