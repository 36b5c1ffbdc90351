"""The numbers that Keras hands to callbacks, perhaps still being computed, read without making the training wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
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


def row_of(logs: dict[str, Any]) -> dict[str, Any]:
    """A row from what `kept` returned: numbers where they are there, the others as one value that is arriving."""
    row = {}
    others = {}
    for name, value in logs.items():
        if type(value) in PLAIN:
            row[name] = value
        elif hasattr(value, "is_ready") and not value.is_ready():
            others[name] = value
        elif (number := _number(value)) is not None:
            row[name] = number
    if others:
        row["logs"] = Arriving(others)
    return row


def kept(logs: Any) -> dict[str, Any]:
    """What a callback was given, as no later step can change it: cheap, for it is done at every batch."""
    if not isinstance(logs, Mapping):
        return {}
    return {name: value if type(value) in _unchanging else _kept(value) for name, value in logs.items()}


_unchanging: set[type] = {*PLAIN}


def _kept(value: Any) -> Any:
    """A number on a CPU is there, and read at once."""
    if hasattr(value, "is_cpu"):  # of torch
        return value.item() if value.is_cpu and value.numel() == 1 else value.detach().clone()
    if hasattr(value, "assign"):
        return _kept(keras.ops.convert_to_tensor(value))
    if type(value).__module__.startswith(("jax", "tensorflow")):
        _unchanging.add(type(value))
        return value
    return value.copy() if hasattr(value, "copy") else value


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
