"""An embedding and momentum, whose arithmetic a compiler weaves together; the first call evaluates. It has never heard of any tracker."""

import functools

import jax
import jax.numpy as jnp
import optax

params = {"table": jnp.full((50, 8), 0.3), "out": jnp.full((8, 4), 0.2)}
optimizer = optax.sgd(0.1, momentum=0.9)
state = optimizer.init(params)


def loss_of(params, rows):
    return ((params["table"][rows] @ params["out"] - 1) ** 2).mean()


@functools.partial(jax.jit, static_argnames="train", donate_argnames=("params", "state"))
def step(params, state, rows, train):
    if not train:
        return params, state, loss_of(params, rows)
    loss, gradients = jax.value_and_grad(loss_of)(params, rows)
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state, loss


losses = []
for number in range(21):
    rows = jax.random.randint(jax.random.key(number), (32,), 0, 50)
    params, state, loss = step(params, state, rows, train=number > 0)
    losses.append(loss)
print("losses", [float(loss).hex() for loss in losses])
print("weights", [float(weight).hex() for leaf in jax.tree.leaves(params) for weight in leaf.ravel()])
