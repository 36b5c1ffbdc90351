"""An ordinary script that compares two models, each evaluated, trained and evaluated in turn."""

import json

import keras
import numpy as np

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).random((32, 8), dtype="float32")
y = x.sum(1, keepdims=True)
first, second = (keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)]) for _ in range(2))
tested = []
for model, others in ((first, []), (second, [first]), (first, [second])):
    model.compile("sgd", "mse")
    model.evaluate(x, y, verbose=0)
    model.fit(x, y, batch_size=16, verbose=0)
    tested.append(model.evaluate(x, y, verbose=0))
    for other in others:
        other.evaluate(x, y, verbose=0)
print(json.dumps(tested))
