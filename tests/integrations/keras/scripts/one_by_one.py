"""An ordinary loop around `train_on_batch` with two models, as those of adversaries are."""

import json

import keras
import numpy as np

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).random((16, 8), dtype="float32")
y = x.sum(1, keepdims=True)
models = [keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)]) for _ in range(2)]
for model in models:
    model.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mae"])
told = {"lists": [], "dicts": [], "types": []}
for step in range(3):
    told["lists"].append([float(value) for value in models[0].train_on_batch(x, y)])
    found = models[1].train_on_batch(x, y, return_dict=True)
    told["dicts"].append({name: float(value) for name, value in found.items()})
    told["types"].append(type(models[0].train_on_batch(x, y)).__name__)
    models[0].optimizer.learning_rate = 0.01 / (step + 2)
told["weights"] = [np.asarray(weight).tobytes().hex() for model in models for weight in model.get_weights()]
models[0].fit(x, y, batch_size=8, verbose=0)
print(json.dumps(told))
