"""Arrays on their way to the host, without making the thread that trains wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from rankzero.plugin import warn_once


class Arriving:
    """A program's outputs, logged like a value: see `rankzero.plugin.Deferred`.

    Only arrays that no one else holds are given here (a program's own outputs, copies), so nothing that a program donates is
    kept, and nothing that is kept is deleted by a donation.

    Args:
        given: arrays in a tree, whose copies to the host begin now where they do not lie there.
        decode: from the same tree with arrays on the host to the metrics of a row; runs in the writer thread.
    """

    __slots__ = ("_decode", "_given")

    def __init__(self, given: Any, decode: Callable[[Any], dict[str, Any]]) -> None:
        self._given = given
        self._decode = decode
        if far():
            for array in jax.tree.leaves(given):
                if isinstance(array, jax.Array):
                    here(array).copy_to_host_async()

    def ready(self) -> bool:
        """Whether `value()` returns without waiting."""
        return are_ready(jax.tree.leaves(self._given))

    def value(self) -> dict[str, Any]:
        """The metrics by name."""
        return self._decode(jax.tree.map(on_host, self._given))


class Held:
    """An array of the user's, which a donation may take away before it has been read."""

    __slots__ = ("_array", "_name")

    def __init__(self, name: str, array: Any) -> None:
        self._name = name
        self._array = array
        if far() and not array.is_deleted():
            here(array).copy_to_host_async()

    def ready(self) -> bool:
        """Whether `value()` returns without waiting."""
        return bool(self._array.is_deleted() or self._array.is_ready())

    def value(self) -> Any:
        """The array as numpy's; nothing, and a warning, where there is none any more or none in this process."""
        array, why = self._array, ""
        if array.is_deleted():
            why = "it was donated to a compiled function before it was read; log a copy of it"
        elif not (array.is_fully_addressable or array.is_fully_replicated):
            why = "it is spread over processes and has no value in one of them; replicate it first"
        if not why:
            return np.asarray(array)
        warn_once(f"value {self._name}", f"{self._name!r} was not recorded: {why}")
        return {}


def are_ready(arrays: list[Any]) -> bool:
    """Whether all of them have been computed, as far as they are still there."""
    return all(array.is_deleted() or array.is_ready() for array in arrays if hasattr(array, "is_ready"))


def on_host(array: Any) -> Any:
    """An array as numpy's; waits if need be."""
    return np.asarray(here(array))


def here(array: Any) -> Any:
    """The array, or this process's part of one whose other parts lie in other processes."""
    if isinstance(array, jax.Array) and not (array.is_fully_addressable or array.is_fully_replicated):
        return array.addressable_data(0)
    return array


class _Far:
    def __init__(self) -> None:
        self.known: bool | None = None

    def __call__(self) -> bool:
        """Whether arrays lie on devices other than CPUs; asked when there are arrays, for it would start a backend."""
        if self.known is None:
            self.known = jax.default_backend() != "cpu"
        return self.known


far = _Far()
