"""What the function being compiled was called with: there the arrays are whose layout over devices its tracers do not tell."""

from __future__ import annotations

import threading
from typing import Any

import jax


class Arguments(threading.local):
    """Of the call that this thread is in.

    Attributes:
        given: positional and keyword arguments; None outside of a call, so that nothing is kept alive.
    """

    def __init__(self) -> None:
        self.given: Any = None

    def are_spread(self, params: Any) -> bool:
        """Whether parameters are parted over devices: arguments of their shapes are, and no others of those shapes.

        What is computed of gradients laid out like them would need a collective that the program does not make.
        """
        arrays = [leaf for leaf in jax.tree.leaves(self.given) if isinstance(leaf, jax.Array) and not leaf.is_deleted()]
        whole = {array.shape for array in arrays if array.is_fully_replicated}
        parted = {array.shape for array in arrays} - whole
        return any(leaf.shape in parted for leaf in jax.tree.leaves(params) if hasattr(leaf, "shape"))


arguments = Arguments()
