"""The trainings of one process, told apart: the two models of an adversarial pair, two fits one after the other."""

from __future__ import annotations

from typing import Any

import jax

from rankzero_jax.internals import is_top_level


class Trainings:
    """Each optimizer is one. Those that are made while a function is traced, anew for each of its programs, are one by what they update."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._fleeting: dict[int, Any] = {}

    def made(self, optimizer: Any) -> None:
        """An optimizer was made, right here."""
        if not is_top_level():
            self._fleeting[id(optimizer.update)] = optimizer.update

    def number(self, optimizer: Any, gradients: Any) -> int:
        """Of the training, from 1, that a step of an optimizer (known by its `update`) belongs to."""
        key = jax.tree.structure(gradients) if id(optimizer) in self._fleeting else optimizer
        return self._numbers.setdefault(key, len(self._numbers) + 1)
