"""A loop of its own on JAX, around an optimizer that adds gradients up or scales the loss, or a fit with the one that adds up.

The one that scales is in one compiled step, in one beside a compiled gradient, or in a loop that runs op by op.
"""

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
scaled = how.startswith("scaled")
SCALE = 1024.0 if scaled else 1.0
optimizer = keras.optimizers.SGD(0.01, gradient_accumulation_steps=None if scaled else 2)
if scaled:
    optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=SCALE)


def loss_of(values, others):
    out, others = model.stateless_call(values, others, x)
    loss = keras.ops.mean((out - y) ** 2)
    return loss * SCALE, (loss, others)


def plain(function):
    return function


outer = plain if how in {"scaled op by op", "scaled apart"} else jax.jit
inner = jax.jit if how == "scaled apart" else plain
differentiate = inner(jax.value_and_grad(loss_of, has_aux=True))
apply = inner(optimizer.stateless_apply)


@outer
def step(values, others, slots):
    (_, (loss, others)), gradients = differentiate(values, others)
    values, slots = apply(slots, gradients, values)
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
