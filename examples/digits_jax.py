"""A small network on handwritten digits with flax.nnx and optax. It knows nothing of any tracker.

rankzero run python examples/digits_jax.py
"""

import argparse

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--batch-size", type=int, default=128)
parser.add_argument("--lr", type=float, default=3e-3)
asked = parser.parse_args()


class Network(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(64, 128, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.out = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, images):
        return self.out(self.dropout(nnx.relu(self.hidden(images))))


images, labels = load_digits(return_X_y=True)
images = (images / 16).astype(np.float32)
train, test = slice(0, 1500), slice(1500, None)
steps = asked.epochs * (1500 // asked.batch_size)

model = Network(nnx.Rngs(0))
schedule = optax.cosine_decay_schedule(asked.lr, steps)
optimizer = nnx.Optimizer(model, optax.adamw(schedule), wrt=nnx.Param)


@nnx.jit
def train_step(model, optimizer, images, labels):
    def loss_of(model):
        return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()

    loss, gradients = nnx.value_and_grad(loss_of)(model)
    optimizer.update(model, gradients)
    return loss


@nnx.jit
def accuracy(model, images, labels):
    return (jnp.argmax(model(images), axis=1) == labels).mean()


order = np.random.default_rng(0)
for epoch in range(asked.epochs):
    model.train()
    shuffled = order.permutation(1500)
    for start in range(0, 1500 - asked.batch_size + 1, asked.batch_size):
        batch = shuffled[start : start + asked.batch_size]
        loss = train_step(model, optimizer, images[batch], labels[batch])
    model.eval()
    print(f"epoch {epoch}: loss {float(loss):.3f}, accuracy {float(accuracy(model, images[test], labels[test])):.3f}")
