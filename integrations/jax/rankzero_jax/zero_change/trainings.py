"""The trainings of one process, told apart: the two models of an adversarial pair, two fits one after the other."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any
from weakref import WeakKeyDictionary

import jax

from rankzero_jax.kinds import kind_of
from rankzero_jax.taps import Collector


class Trainings:
    """Each optimizer is one.

    Of optimizers that a function makes while it is traced, anew each time, the first that it has for gradients of a kind is the
    same as the first one the other time, the second as the second.
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._made: WeakKeyDictionary[Collector, list[tuple[Hashable, Any]]] = WeakKeyDictionary()
        self._kept: dict[int, Any] = {}

    def number(self, optimizer: Any) -> int:
        """Of the training, from 1, that a step of an optimizer (known by its `update`) belongs to."""
        return self._numbers.setdefault(optimizer, len(self._numbers) + 1)

    def number_of_new(self, optimizer: Any, gradients: Any, there: Collector) -> int:
        """The same, of one that was made in the function which is being traced."""
        alike = jax.tree.structure(gradients), kind_of(gradients)
        made = self._made.setdefault(there, [])
        if (alike, optimizer) not in made:
            made.append((alike, optimizer))
        ordinal = [one for kind, one in made if kind == alike].index(optimizer)
        self._kept[id(there.of)] = there.of  # as long as its id is known
        return self.number((id(there.of), alike, ordinal))
