"""A loop of its own on JAX, around an optimizer that adds gradients up or scales the loss, or a fit with the one that adds up."""

import json
import sys

import jax
import keras
import numpy as np

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).random((32, 8), dtype="float32")
y = x.sum(1, keepdims=True)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
how = sys.argv[1]
SCALE = 1024.0 if how == "scaled" else 1.0
optimizer = keras.optimizers.SGD(0.01, gradient_accumulation_steps=None if how == "scaled" else 2)
if how == "scaled":
    optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=SCALE)


def loss_of(values, others):
    out, others = model.stateless_call(values, others, x)
    loss = keras.ops.mean((out - y) ** 2)
    return loss * SCALE, (loss, others)


@jax.jit
def step(values, others, slots):
    (_, (loss, others)), gradients = jax.value_and_grad(loss_of, has_aux=True)(values, others)
    values, slots = optimizer.stateless_apply(slots, gradients, values)
    return (values, others, slots), loss, sum((gradient**2).sum() for gradient in gradients) ** 0.5 / SCALE


if how == "fit":
    model.compile(optimizer, "mse")
    model.fit(x, y, batch_size=8, verbose=0)
    print(json.dumps({}))
    sys.exit()
optimizer.build(model.trainable_variables)
parts = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
state = [[one.value for one in part] for part in parts]
told = {"losses": [], "norms": []}
for _ in range(4):
    state, loss, norm = step(*state)
    told["losses"].append(float(loss))
    told["norms"].append(float(norm))
told["weights"] = [np.asarray(weight).tobytes().hex() for weight in state[0]]
print(json.dumps(told))
