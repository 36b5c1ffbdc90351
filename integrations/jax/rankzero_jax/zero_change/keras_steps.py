"""Steps of Keras's optimizers in functions that a program compiles itself, as Keras's guide to loops of one's own on JAX has them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from rankzero.plugin import after_import, guarded, replace
from rankzero_jax.runs import of_the_loop
from rankzero_jax.taps import collector
from rankzero_jax.zero_change.updates import Updates

MODULE = "keras.src.optimizers.base_optimizer"
"""Where Keras has them: the package itself is not complete when it imports JAX."""

SCALING = "keras.src.optimizers.loss_scale_optimizer"
"""The one of them that calls another, within a `cond` which hands nothing out."""


class _Here(threading.local):
    """In this thread: whether an optimizer is called by another."""

    within = False


class KerasSteps:
    """Listens to `stateless_apply`, and tells of it as of an `update` of optax."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates
        self._here = _Here()

    def install(self, module: ModuleType) -> None:
        """Listen to the optimizers of Keras, where it computes with JAX."""
        if module.backend.backend() == "jax":
            replace(module.BaseOptimizer, "stateless_apply", self._around)
            after_import(SCALING, self._install_scaling)

    def _install_scaling(self, module: ModuleType) -> None:
        replace(module.LossScaleOptimizer, "stateless_apply", self._around)

    def _around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        note, here = guarded("looking at an optimizer step")(self._note), self._here

        def stateless_apply(optimizer: Any, optimizer_variables: Any, grads: Any, trainable_variables: Any) -> Any:
            if here.within:
                return original(optimizer, optimizer_variables, grads, trainable_variables)
            here.within = True
            try:
                after = original(optimizer, optimizer_variables, grads, trainable_variables)
            finally:
                here.within = False
            note(optimizer, grads, (trainable_variables, optimizer_variables), after[1])
            return after

        return stateless_apply

    def _note(
        self,
        optimizer: Any,
        gradients: Sequence[Any],
        before: tuple[Sequence[Any], Sequence[Any]],
        slots: Sequence[Any],
    ) -> None:
        """Gradients are those that the optimizer uses: unscaled, and clipped, if it clips. Of several that it adds up, each is a step."""
        import keras

        if of_the_loop() is None:
            return
        own = getattr(optimizer, "inner_optimizer", optimizer)
        paths = [variable.path for variable in own._trainable_variables]  # noqa: SLF001 - as `stateless_apply` does
        params, held = before
        with keras.StatelessScope(state_mapping=list(zip(optimizer.variables, held, strict=True))):
            rate = keras.ops.convert_to_tensor(own.learning_rate)
            used, factor = _unscaled(optimizer, list(gradients))
        if not own.gradient_accumulation_steps:
            used = own._clip_gradients(used)  # noqa: SLF001 - as `apply` does
        counted = own._iterations  # noqa: SLF001 - `iterations` leaves out those that are added up
        (count,) = (slot for one, slot in zip(optimizer.variables, slots, strict=True) if one is counted)
        state = {"count": count, "slots": slots}
        given = {"updates": _named(paths, used), "params": _named(paths, params), "factor": factor}
        self._updates.note(optimizer, given, state, rate)


def _unscaled(optimizer: Any, gradients: list[Any]) -> tuple[list[Any], Any]:
    """Gradients of the loss itself; and what turns the value that was differentiated into it, where that is not at hand here.

    Where it is, it is put right at once, and there is no such factor.
    """
    import keras

    scale = getattr(optimizer, "dynamic_scale", None)
    if scale is None:
        scale = optimizer.loss_scale_factor
    if scale is None:
        return gradients, None
    scale = keras.ops.convert_to_tensor(scale)
    unscaled = [None if one is None else one / scale.astype(one.dtype) for one in gradients]
    there = collector()
    loss = None if there is None else there.differentiated.loss_of(gradients)
    if there is None or loss is None:
        return unscaled, 1 / scale
    there.differentiated.add(loss / scale, unscaled)
    return unscaled, None


def _named(paths: Sequence[str], leaves: Sequence[Any]) -> dict[str, Any]:
    return {path: leaf for path, leaf in zip(paths, leaves, strict=True) if leaf is not None}
