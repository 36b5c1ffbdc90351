"""A loop of its own on whatever backend, and then a fit."""

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
for _ in range(4):
    if keras.backend.backend() == "torch":
        model.zero_grad()
        keras.ops.mean((model(x) - keras.ops.convert_to_tensor(y)) ** 2).backward()
        gradients = [variable.value.grad for variable in variables]
        norms.append(float(sum((gradient**2).sum() for gradient in gradients)) ** 0.5)
        import torch

        with torch.no_grad():
            optimizer.apply(gradients, variables)
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x) - y) ** 2)
        gradients = tape.gradient(loss, variables)
        norms.append(float(tf.linalg.global_norm(gradients)))
        optimizer.apply(gradients, variables)
other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
other.compile("sgd", "mse")
other.fit(x, y, batch_size=16, verbose=0)
print(json.dumps({"norms": norms}))
