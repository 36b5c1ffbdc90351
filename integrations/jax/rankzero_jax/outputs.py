"""Taps as further outputs of a program: arrays under a number, which stands for everything that was known while tracing."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax

from rankzero_jax.taps import Tap

Outputs = dict[int, list[Any]]
"""What a program hands out beside the function's own result: empty, or arrays under their form's number."""


class Training(NamedTuple):
    """What a call of a program does of a training: its number, how many steps, and on how many samples each (0: unknown)."""

    number: int
    steps: int
    samples: float


class Form(NamedTuple):
    """What is known of a program's taps before it runs.

    Attributes:
        structure: of the taps that the arrays are part of.
        trainings: those that a call of the program takes steps of.
        shapes: of the arrays.
        sampled: there is something among them that is wanted only every so many steps.
        row: who records them, as `log`'s `ranks`, where they are one row of `log` without a step of its own; else False.
    """

    structure: Any
    trainings: tuple[Training, ...]
    shapes: tuple[tuple[int, ...], ...]
    sampled: bool
    row: str | bool | None

    @property
    def steps(self) -> int:
        """How many steps a call of the program takes, of the first of its trainings."""
        return self.trainings[0].steps if self.trainings else 0


forms: list[Form] = []
"""By number. The same taps have the same number, so that the same program is one to JAX's caches."""

_numbers: dict[Form, int] = {}


def packed(taps: list[Tap]) -> Outputs:
    """Taps of a function that is being traced, as its outputs."""
    if not taps:
        return {}
    leaves, structure = jax.tree.flatten(taps)
    trainings: dict[int, Training] = {}
    for tap in taps:
        if tap.kind == "step":
            number, samples, _ = tap.about
            steps = steps_of(tap) + (trainings[number].steps if number in trainings else 0)
            trainings[number] = Training(number, steps, _each(steps, *samples))
    ranks = {tap.about if tap.kind == "log" else None for tap in taps}
    (about,) = ranks if len(ranks) == 1 else (None,)
    row = about[0] if about is not None and about[1] is None else False
    shapes = tuple(jax.numpy.shape(leaf) for leaf in leaves)
    form = Form(structure, tuple(trainings.values()), shapes, any(map(_is_sampled, taps)), row)
    number = _numbers.get(form)
    if number is None:
        number = _numbers[form] = len(forms)
        forms.append(form)
    return {number: leaves}


def unpacked(number: int, arrays: list[Any]) -> list[Tap]:
    """The taps again, of what a program handed out."""
    taps: list[Tap] = jax.tree.unflatten(forms[number].structure, arrays)
    return taps


def without_samples(outputs: Outputs) -> Outputs:
    """What a program hands out, less what is measured of gradients and the step, which are wanted only every so often."""
    return packed([_spared(tap) if tap.kind == "step" else tap for tap in _taps(outputs)])


def only_samples(outputs: Outputs) -> Outputs:
    """What `without_samples` leaves out."""
    return packed([_sample(tap) for tap in _taps(outputs) if _is_sampled(tap)])


def is_sample(name: str) -> bool:
    """Whether a value that leaves a step is one that is wanted only every so many steps."""
    return name.startswith("grad/")


def _taps(outputs: Outputs) -> list[Tap]:
    return [tap for number, arrays in outputs.items() for tap in unpacked(number, arrays)]


def _is_sampled(tap: Tap) -> bool:
    return tap.kind == "step" and any(map(is_sample, tap.names))


def _spared(tap: Tap) -> Tap:
    """What is sampled stands first in a step's vector."""
    sampled = len([*filter(is_sample, tap.names)])
    return Tap(tap.kind, tap.names[sampled:], tap.numbers[..., sampled:], {}, tap.step, tap.about)


def _sample(tap: Tap) -> Tap:
    sampled = len([*filter(is_sample, tap.names)])
    return Tap("sample", tap.names[:sampled], tap.numbers[..., :sampled], tap.values, None, tap.about)


def steps_of(tap: Tap) -> int:
    """How many steps a tap stands for: those of the loops inside the program."""
    return 1 if tap.numbers is None else math.prod(tap.numbers.shape[:-1])


def _each(steps: int, first: float, second: float) -> float:
    """The samples of each of a call's steps, of lengths of its data; 0 where they do not tell."""
    if steps == 1:
        return first
    return second if first == steps else 0
