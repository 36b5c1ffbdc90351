"""Arrays on their way to the host, without making the thread that trains wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


class Arriving:
    """Arrays by name, logged like a value: see `rankzero.plugin.Deferred`.

    Only arrays that no one else holds are given here (a program's own outputs, copies), so nothing that a program donates is
    kept, and nothing that is kept is deleted by a donation.

    Args:
        arrays: whose copies to the host begin now.
        decode: from the arrays on the host to the metrics of a row; runs in the writer thread.
    """

    def __init__(self, arrays: dict[str, Any], decode: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._arrays = {name: here(array) for name, array in arrays.items()}
        self._decode = decode
        for array in self._arrays.values():
            if isinstance(array, jax.Array):
                array.copy_to_host_async()

    def ready(self) -> bool:
        """Whether `value()` returns without waiting."""
        return all(getattr(array, "is_ready", _there)() for array in self._arrays.values())

    def value(self) -> dict[str, Any]:
        """The metrics by name."""
        return self._decode({name: np.asarray(array) for name, array in self._arrays.items()})


def _there() -> bool:
    return True


def here(array: Any) -> Any:
    """The array, or this process's part of one whose other parts lie in other processes."""
    if isinstance(array, jax.Array) and not (array.is_fully_addressable or array.is_fully_replicated):
        return array.addressable_data(0)
    return array
