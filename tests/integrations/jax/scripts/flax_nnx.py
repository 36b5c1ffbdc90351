"""A flax.nnx model on random numbers, in the way of its documentation. It has never heard of any tracker."""

import sys

import jax
import optax
from flax import nnx


class Model(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(16, 32, rngs=rngs)
        self.norm = nnx.BatchNorm(32, rngs=rngs)
        self.out = nnx.Linear(32, 4, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.relu(self.norm(self.hidden(x))))


model = Model(nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-2)), wrt=nnx.Param)
metrics = nnx.MultiMetric(loss=nnx.metrics.Average("loss"))


@nnx.jit
def train_step(model, optimizer, metrics, x, y):
    def loss_of(model):
        logits = model(x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), logits

    (loss, _), gradients = nnx.value_and_grad(loss_of, has_aux=True)(model)
    metrics.update(loss=loss)
    optimizer.update(model, gradients)
    return loss


x = jax.random.normal(jax.random.key(1), (64, 16))
y = jax.random.randint(jax.random.key(2), (64,), 0, 4)
losses = [train_step(model, optimizer, metrics, x, y) for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 20)]
print("losses", [float(loss).hex() for loss in losses])
print("weights", [float(leaf.sum()).hex() for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))])
