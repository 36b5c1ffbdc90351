"""The training steps of the benchmarks of JAX: a multilayer perceptron with Adam, of which the wide one takes some ten milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

WIDE, SMALL = 512, 16
DEPTH, BATCH = 4, 144
RATE = 1e-3

Log = Callable[[dict[str, Any], Any], None]


def adam() -> Any:
    """The optimizer."""
    import optax

    return optax.adam(RATE)


def training(width: int, optimizer: Any, log: Log | None = None) -> tuple[Callable[..., Any], Any]:
    """A step, not compiled, and the parameters and state that it begins with.

    Args:
        width: of the layers.
        optimizer: an optax transformation.
        log: called in the step with what there is to log, and the optimizer's count.
    """
    import jax
    import jax.numpy as jnp
    import optax

    keys = jax.random.split(jax.random.key(0), DEPTH + 2)
    params = {f"layer{i}": jax.random.normal(keys[i], (width, width)) * 0.05 for i in range(DEPTH)}
    x, y = (jax.random.normal(key, (BATCH, width)) for key in keys[-2:])

    def loss_of(params: Any) -> Any:
        hidden = x
        for layer in params.values():
            hidden = jax.nn.relu(hidden @ layer)
        return jnp.mean((hidden - y) ** 2)

    def step(params: Any, state: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(params)
        if log is not None:
            log({"loss": loss, "lr": RATE}, optax.tree_utils.tree_get(state, "count"))
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    return step, (params, optimizer.init(params))


def stepping(
    step: Callable[..., Any], at: list[Any], after: Callable[..., Any] | None = None, *, first: int = 3
) -> Callable[[], None]:
    """Takes the next step of a training at each call, and waits for it.

    Args:
        step: compiled.
        at: parameters and state, and the number of the next step; trainings that share it go on where the other is.
        after: called after each step with its state, loss and number.
        first: steps that are taken here, so that all is compiled.
    """
    import jax

    def take() -> None:
        *state, loss = step(*at[0])
        jax.block_until_ready((state, loss))
        if after is not None:
            after(state, loss, at[1])
        at[0] = state
        at[1] += 1

    for _ in range(first):
        take()
    return take
