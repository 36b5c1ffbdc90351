"""The learning rate of a step, read without making the device wait."""

from __future__ import annotations

import math
from collections.abc import Iterable
from time import perf_counter
from typing import Any

import keras

SHARE = 0.001
"""What reading a schedule may cost of the time training takes."""

RAREST = 1 << 12

SELDOM = 64
"""Batches after which a number is read again in the middle of an epoch, though nobody seems to be there to change it."""

HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


def batchwise(callbacks: Iterable[Any]) -> bool:
    """Whether any of these callbacks is the user's own and is told of batches."""
    return any(
        not type(one).__module__.startswith(("keras.", "rankzero_keras."))
        and not all(getattr(getattr(type(one), hook, None), "_is_default", False) for hook in HOOKS)
        for one in callbacks
    )


class Rates:
    """Knows an optimizer's learning rate at a step.

    A number that callbacks set is read whenever it can have changed: at every batch if one of them is told of batches, else as an
    epoch begins, for reading a variable is not free. On JAX the variables are not there in the middle of an epoch, unless a
    callback had them put back. A schedule is a function of the step; evaluating it takes operations of the backend, so it
    is done as often as that costs little.

    Attributes:
        often: somebody may change the number at any batch.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._last = math.nan
        self._distance = 1
        self._seen = 0
        self._mark = 0.0
        self._away = keras.backend.backend() == "jax"
        self._wait = 0
        self._fixed = False
        self.often = True

    def of_step(self, done: int | None) -> float | None:
        """The rate that step number `done`, counted from 1 by the optimizer, was made with; None if it is not to be had now.

        Args:
            done: None for the last one; the optimizer is asked for its number, where that is to be had.
        """
        if self._fixed and self._wait > 0:
            self._wait -= 1
            return self._last
        optimizer = optimizer_of(self._model)
        given = getattr(optimizer, "_learning_rate", None)
        if given is None:
            return None
        if callable(given) and not hasattr(given, "assign"):
            return self._scheduled(given, done)
        if not self._away:
            self._last = _number(given)
            self._fixed, self._wait = not self.often, SELDOM
        return None if math.isnan(self._last) else self._last

    def look(self) -> None:
        """A batch begins, and callbacks are done with it: the variables are there, if they are to be at all."""
        if self._away and getattr(self._model, "_jax_state_synced", False):
            given = getattr(optimizer_of(self._model), "_learning_rate", None)
            if hasattr(given, "assign"):
                self._last = _number(given)

    def soon(self) -> None:
        """The next one is wanted, whatever it costs."""
        self._seen = self._wait = 0

    def _scheduled(self, schedule: Any, done: int | None) -> float | None:
        self._seen += 1
        if self._seen > 1 and self._seen % self._distance:
            return None
        began = perf_counter()
        if done is None:
            if self._away:
                return None
            done = iterations(self._model)
        try:
            rate = float(keras.ops.convert_to_numpy(schedule(done - 1) if _takes_step(schedule) else schedule()))
        except (TypeError, ValueError):
            return None
        now = perf_counter()
        if self._mark and self._seen > 1:
            typical = max((began - self._mark) / self._distance, 1e-6)
            wanted = (now - began) / (SHARE * typical)
            self._distance = min(RAREST, 1 << max(0, int(wanted)).bit_length())
        self._mark = now
        return rate


def inner(optimizer: Any) -> Any:
    """The optimizer inside of one that scales the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def optimizer_of(model: Any) -> Any:
    """A model's own optimizer; None where it has not been compiled, as in a loop of the program's own."""
    return inner(getattr(model, "optimizer", None))


def iterations(model: Any) -> int:
    """The steps that a model's optimizer has counted, accumulated ones each; 0 without one. Waits for them."""
    counted = getattr(optimizer_of(model), "_iterations", None)
    return 0 if counted is None else int(keras.ops.convert_to_numpy(counted))


def _number(variable: Any) -> float:
    """What a variable holds; read by the backend's own means, which are quicker, where it holds one copy."""
    value = variable.value
    return float(value if hasattr(type(value), "__float__") else keras.ops.convert_to_numpy(variable))


def _takes_step(schedule: Any) -> bool:
    return isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
