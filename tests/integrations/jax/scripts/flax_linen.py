"""A flax.linen model with a TrainState on random numbers. It has never heard of any tracker."""

import sys

import jax
import optax
from flax import linen as nn
from flax.training.train_state import TrainState


class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(nn.relu(nn.Dense(32)(x)))


x = jax.random.normal(jax.random.key(1), (64, 16))
y = jax.random.randint(jax.random.key(2), (64,), 0, 4)
model = Model()
params = model.init(jax.random.key(0), x)["params"]
state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1, momentum=0.9))


@jax.jit
def train_step(state, x, y):
    def loss_of(params):
        logits = state.apply_fn({"params": params}, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


losses = []
for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 20):
    state, loss = train_step(state, x, y)
    losses.append(loss)
print("losses", [float(loss).hex() for loss in losses])
print("weights", [float(leaf.sum()).hex() for leaf in jax.tree.leaves(state.params)])
