"""Which optimizers a model's steps apply: a step of the program's own may pass `model.optimizer` by, as those of adversaries do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from rankzero.plugin import replace, report
from rankzero_keras.integration import NAME
from rankzero_keras.measuring.rates import Rates, inner, iterations, optimizer_of

PLACE = "rankzero_applied"

AWAY = "the step applies other optimizers than model.optimizer, and JAX keeps their variables to itself meanwhile"


class Applied:
    """Of one step: the optimizers that were heard of while it ran or was traced, the first first, without what scales the loss."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def met(self, optimizer: Any) -> None:
        """One is being applied."""
        own = inner(optimizer)
        if not any(one is own for one in self.heard):
            self.heard.append(own)

    def of(self, model: Any) -> list[Any]:
        """The optimizers of a model that has been trained on a batch; its own first, if that is among them."""
        own = optimizer_of(model)
        if self.heard:
            return sorted(self.heard, key=lambda one: one is not own)
        idle = steps_itself(model) and keras.backend.backend() != "jax" and not iterations(model)
        return [] if idle else [own]


class _Now:
    """Attributes: `step`: of the batch under way."""

    step: Applied | None = None


now = _Now()


class AppliedRates:
    """The learning rates of a step's optimizers, under the names of their metrics.

    Args:
        often: see `Rates`.
    """

    def __init__(self, model: Any, applied: Applied, *, often: bool) -> None:
        self._model = model
        self._applied = applied
        self._often = often
        self._heard = -1
        self._own = Rates(model)
        self._own.often = often
        self._rates = {"optim/lr": self._own}
        self.look, self.soon = self._own.look, self._soon

    def of_step(self, done: int) -> dict[str, float]:
        """Those that the step was made with which the model's own optimizer counts as `done`."""
        if self._heard != len(self._applied.heard):
            self._adopt()
        found = {}
        for name, rates in self._rates.items():
            rate = rates.of_step(done if rates is self._own else None)
            if rate is not None:
                found[name] = rate
        return found

    def _soon(self) -> None:
        for rates in self._rates.values():
            rates.soon()

    def _adopt(self) -> None:
        """The first batch was trained on, or another optimizer was heard of."""
        self._heard, own = len(self._applied.heard), optimizer_of(self._model)
        rates = [self._own if one is own else self._of(one) for one in self._applied.of(self._model)]
        self._rates = {f"optim/lr{suffix(number)}": one for number, one in enumerate(rates, 1)}
        if keras.backend.backend() == "jax" and self._own not in rates:
            report("optim/lr", "seen", NAME, AWAY)

    def _of(self, optimizer: Any) -> Rates:
        rates = Rates(_Stepped(optimizer))
        rates.often = self._often
        return rates


class _Stepped:
    """What `Rates` wants of a model, of an optimizer alone."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer


def applied_of(model: Any) -> Applied:
    """What is heard of a model's training function, in every fit: it may have been traced in the first, but for torch."""
    own = None if keras.backend.backend() == "torch" else model.train_function
    found: Applied | None = getattr(own, PLACE, None)
    if found is None:
        found = Applied()
        if own is not None:
            setattr(own, PLACE, found)
    return found


def behind(model: Any, optimizer: Any) -> str:
    """What stands behind the names of an optimizer that the step under way applied."""
    heard = [] if now.step is None else now.step.of(model)
    return next((suffix(number) for number, one in enumerate(heard, 1) if one is optimizer), "")


def steps_itself(model: Any) -> bool:
    """Whether the model's step is the program's own."""
    return not str(getattr(model.train_step, "__module__", "")).startswith("keras.")


def suffix(number: int) -> str:
    """What stands behind the names of a second, third, ... optimizer."""
    return f"@{number}" if number > 1 else ""


def install() -> None:
    """Listen, once however often it is asked for."""
    for owner in {*keras.optimizers.Optimizer.__mro__, *keras.optimizers.LossScaleOptimizer.__mro__}:
        if "apply" in owner.__dict__:
            replace(owner, "apply", _around)


def _around(original: Callable[..., Any]) -> Callable[..., Any]:
    def apply(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        if now.step is not None:
            now.step.met(optimizer)
        return original(optimizer, *args, **kwargs)

    return apply
