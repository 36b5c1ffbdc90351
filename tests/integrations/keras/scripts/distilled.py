"""A model that is trained inside of another one, and evaluated alone."""

import json

import keras
import numpy as np

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).random((32, 8), dtype="float32")
y = x.sum(1, keepdims=True)
student = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
inputs = keras.Input((8,))
teacher = keras.Model(inputs, student(inputs) * 0.5)
teacher.compile("sgd", "mse")
teacher.fit(x, y, batch_size=16, verbose=0)
student.compile("sgd", "mse")
print(json.dumps(student.evaluate(x, y, verbose=0)))
