"""Steps of Keras's optimizers in functions that a program compiles itself, as Keras's guide to loops of one's own on JAX has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from rankzero.plugin import guarded, replace
from rankzero_jax.zero_change.updates import Updates

MODULE = "keras.src.optimizers.base_optimizer"
"""Where Keras has them: the package itself is not complete when it imports JAX."""


class KerasSteps:
    """Listens to `stateless_apply`, and tells of it as of an `update` of optax."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates

    def install(self, module: ModuleType) -> None:
        """Listen to the optimizers of Keras, where it computes with JAX."""
        if module.backend.backend() == "jax":
            replace(module.BaseOptimizer, "stateless_apply", self._around)

    def _around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        note = guarded("looking at an optimizer step")(self._note)

        def stateless_apply(optimizer: Any, optimizer_variables: Any, grads: Any, trainable_variables: Any) -> Any:
            after = original(optimizer, optimizer_variables, grads, trainable_variables)
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
        """Gradients are those that the optimizer uses: clipped, if it clips."""
        import keras

        paths = [variable.path for variable in optimizer._trainable_variables]  # noqa: SLF001 - as `stateless_apply` does
        params, held = before
        clipped = optimizer._clip_gradients(list(gradients))  # noqa: SLF001 - as `apply` does
        with keras.StatelessScope(state_mapping=list(zip(optimizer.variables, held, strict=True))):
            rate = keras.ops.convert_to_tensor(optimizer.learning_rate)
        (count,) = (slot for one, slot in zip(optimizer.variables, slots, strict=True) if one is optimizer.iterations)
        state = {"count": count, "slots": slots}
        given = {"updates": _named(paths, clipped), "params": _named(paths, params)}
        self._updates.note(optimizer, given, state, rate)


def _named(paths: Sequence[str], leaves: Sequence[Any]) -> dict[str, Any]:
    return {path: leaf for path, leaf in zip(paths, leaves, strict=True) if leaf is not None}
