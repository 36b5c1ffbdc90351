"""A small network on handwritten digits with Keras 3, on any backend. It knows nothing of any tracker.

KERAS_BACKEND=jax rankzero run python examples/digits_keras.py
"""

import argparse

import keras
import numpy as np
from sklearn.datasets import load_digits

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--lr", type=float, default=3e-3)
asked = parser.parse_args()

keras.utils.set_random_seed(0)
digits = load_digits()
images = (digits.images / 16).astype("float32")[..., None]
order = np.random.default_rng(0).permutation(len(images))
train, test = order[:1400], order[1400:]

model = keras.Sequential([
    keras.Input((8, 8, 1)),
    keras.layers.Conv2D(16, 3, activation="relu"),
    keras.layers.Flatten(),
    keras.layers.Dropout(0.2),
    keras.layers.Dense(10, activation="softmax"),
])  # fmt: skip
schedule = keras.optimizers.schedules.CosineDecay(asked.lr, asked.epochs * 1400 // asked.batch_size)
model.compile(keras.optimizers.AdamW(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    images[train],
    digits.target[train],
    batch_size=asked.batch_size,
    epochs=asked.epochs,
    validation_split=0.1,
    callbacks=[keras.callbacks.EarlyStopping("val_loss", patience=5)],
    verbose=2,
)
loss, accuracy = model.evaluate(images[test], digits.target[test], verbose=0)
print(f"test accuracy {accuracy:.3f}")
