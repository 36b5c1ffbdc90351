"""An ordinary script that spreads batches over two devices with keras.distribution."""

import json

import keras
import numpy as np

keras.distribution.set_distribution(keras.distribution.DataParallel())
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).random((64, 8), dtype="float32")
y = x.sum(1, keepdims=True)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mae"])
before = model.get_weights()
model.fit(x, y, batch_size=64, epochs=1, verbose=0)
moved = [(old - new) / 0.01 for old, new in zip(before, model.get_weights(), strict=True)]
print(json.dumps({"norm": float(np.sqrt(sum((part**2).sum() for part in moved)))}))
