"""Loops of its own, as Keras's guides write them for each backend, and then a fit."""

import json

import keras
import numpy as np

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).random((32, 8), dtype="float32")
y = x.sum(1, keepdims=True)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
optimizer = keras.optimizers.SGD(0.01)
variables = model.trainable_variables
norms = []


def on_torch():
    import torch

    for _ in range(4):
        model.zero_grad()
        keras.ops.mean((model(x) - keras.ops.convert_to_tensor(y)) ** 2).backward()
        gradients = [variable.value.grad for variable in variables]
        norms.append(float(sum((gradient**2).sum() for gradient in gradients)) ** 0.5)
        with torch.no_grad():
            optimizer.apply(gradients, variables)


def on_tensorflow():
    import tensorflow as tf

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x) - y) ** 2)
        gradients = tape.gradient(loss, variables)
        optimizer.apply(gradients, variables)
        return tf.linalg.global_norm(gradients)

    norms.extend(float(step()) for _ in range(4))
    compiled = tf.function(step)
    for _ in range(4):
        compiled()


def on_jax():
    import jax

    def loss_of(values, others):
        out, others = model.stateless_call(values, others, x)
        return keras.ops.mean((out - y) ** 2), others

    @jax.jit
    def step(values, others, slots):
        (_, others), gradients = jax.value_and_grad(loss_of, has_aux=True)(values, others)
        values, slots = optimizer.stateless_apply(slots, gradients, values)
        return (values, others, slots), sum((gradient**2).sum() for gradient in gradients) ** 0.5

    @jax.jit
    def out_of_sight(values, slots):
        mapping = [*zip(variables, values, strict=False), *zip(optimizer.variables, slots, strict=False)]
        with keras.StatelessScope(state_mapping=mapping):
            optimizer.apply(values)

    optimizer.build(variables)
    state = [[one.value for one in part] for part in (variables, model.non_trainable_variables, optimizer.variables)]
    for _ in range(4):
        state, norm = step(*state)
        norms.append(float(norm))
    out_of_sight(state[0], state[2])


{"torch": on_torch, "tensorflow": on_tensorflow, "jax": on_jax}[keras.backend.backend()]()
other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
other.compile("sgd", "mse")
other.fit(x, y, batch_size=16, verbose=0)
print(json.dumps({"norms": norms}))
