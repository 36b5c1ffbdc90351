"""The optimizers that a program makes, and with what arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import CellType, ModuleType
from typing import Any

import jax

from rankzero.plugin import guarded, replace
from rankzero_jax.internals import is_traced

MOST = 8


class Optimizers:
    """Listens to optax's ready-made optimizers.

    Attributes:
        made: class and arguments of each so far, at most eight.
    """

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self._nested = False

    def install(self, optax: ModuleType) -> None:
        """Listen to the functions that make them: those that take a learning rate."""
        for name, function in vars(optax._src.alias).items():  # noqa: SLF001 - where all of them are
            if vars(optax).get(name) is function and _is_optimizer(function):
                replace(optax, name, self._around)

    def config(self) -> dict[str, Any]:
        """What goes into the run's config."""
        if not self.made:
            return {}
        return {"optimizer": self.made[0]} if len(self.made) == 1 else {"optimizers": list(self.made)}

    def _around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        note = guarded("noting an optimizer")(self._note)

        @functools.wraps(original)
        def make(*args: Any, **options: Any) -> Any:
            outermost, self._nested = not self._nested, True
            try:
                optimizer = original(*args, **options)
            finally:
                self._nested = not outermost
            if outermost:
                note(original, args, options)
            return optimizer

        return make

    def _note(self, original: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> None:
        bound = inspect.signature(original).bind(*args, **options)
        bound.apply_defaults()
        given = {name: value for name, value in bound.arguments.items() if not is_traced(value)}
        again = len(given) < len(bound.arguments) and any(one["class"] == original.__name__ for one in self.made)
        found = {"class": original.__name__}
        found.update({name: _readable(value) for name, value in given.items() if value is not None})
        if len(self.made) < MOST and found not in self.made and not again:  # by `inject_hyperparams`, in each program
            self.made.append(found)


def _is_optimizer(function: Any) -> bool:
    return inspect.isfunction(function) and "learning_rate" in inspect.signature(function).parameters


def _readable(value: Any) -> Any:
    """Schedules and masks are functions: their names say what they are, and of optax's schedules what they were made with."""
    if isinstance(value, list | tuple):
        return [_readable(one) for one in value]
    if isinstance(value, jax.Array):
        return value.item() if value.ndim == 0 and value.is_fully_addressable else str(value.aval)
    if not callable(value):
        return value
    name = getattr(value, "__qualname__", str(value)).partition(".<locals>")[0]
    if not inspect.isfunction(value) or not value.__module__.startswith("optax.schedules"):
        return name
    cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
    made_with = {key: cell.cell_contents for key, cell in cells if cell != CellType()}
    readable = {key: _readable(given) for key, given in made_with.items() if not is_traced(given)}
    return {"schedule": name, **readable} if readable else name
