"""Taps as further outputs of a program: arrays under a number, which stands for everything that was known while tracing."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax

from rankzero_jax.taps import Tap

Outputs = dict[int, list[Any]]
"""What a program hands out beside the function's own result: empty, or arrays under their form's number."""


class Form(NamedTuple):
    """What is known of a program's taps before it runs.

    Attributes:
        structure: of the taps that the arrays are part of.
        trainings: the number of each training that a call of the program takes steps of, and how many.
        shapes: of the arrays.
        row: who records them, as `log`'s `ranks`, where they are one row of `log` without a step of its own; else False.
    """

    structure: Any
    trainings: tuple[tuple[int, int], ...]
    shapes: tuple[tuple[int, ...], ...]
    row: str | bool | None

    @property
    def steps(self) -> int:
        """How many steps a call of the program takes, of the first of its trainings."""
        return self.trainings[0][1] if self.trainings else 0


forms: list[Form] = []
"""By number. The same taps have the same number, so that the same program is one to JAX's caches."""

_numbers: dict[Form, int] = {}


def packed(taps: list[Tap]) -> Outputs:
    """Taps of a function that is being traced, as its outputs."""
    if not taps:
        return {}
    leaves, structure = jax.tree.flatten(taps)
    trainings: dict[int, int] = {}
    for tap in taps:
        if tap.kind == "step":
            trainings[tap.about[0]] = trainings.get(tap.about[0], 0) + steps_of(tap)
    ranks = {tap.about if tap.kind == "log" else None for tap in taps}
    (about,) = ranks if len(ranks) == 1 else (None,)
    row = about[0] if about is not None and about[1] is None else False
    form = Form(structure, tuple(trainings.items()), tuple(jax.numpy.shape(leaf) for leaf in leaves), row)
    number = _numbers.get(form)
    if number is None:
        number = _numbers[form] = len(forms)
        forms.append(form)
    return {number: leaves}


def unpacked(number: int, arrays: list[Any]) -> list[Tap]:
    """The taps again, of what a program handed out."""
    taps: list[Tap] = jax.tree.unflatten(forms[number].structure, arrays)
    return taps


def steps_of(tap: Tap) -> int:
    """How many steps a tap stands for: those of the loops inside the program."""
    return 1 if tap.numbers is None else math.prod(tap.numbers.shape[:-1])
