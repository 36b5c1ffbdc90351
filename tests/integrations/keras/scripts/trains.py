"""An ordinary Keras script that looks at its own callbacks and tells what it sees."""

import json
import sys

import keras
import numpy as np

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).random((64, 8), dtype="float32")
y = x.sum(1, keepdims=True)


class Looks(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append(["params", sorted(self.params)])

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(["logs", sorted(logs), type(self.model.train_function).__name__])


def build():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


looks = Looks()
callbacks = [looks]
listed = keras.callbacks.CallbackList(callbacks, add_history=True)
model = build()
history = model.fit(x, y, epochs=3, batch_size=16, validation_split=0.25, callbacks=callbacks, verbose=0)
test = model.evaluate(x, y, verbose=0)
model.save("model.keras")
told = {
    "callbacks": [type(callback).__name__ for callback in callbacks],
    "listed": [type(callback).__name__ for callback in listed.callbacks],
    "seen": looks.seen,
    "history": history.history,
    "test": test,
    "weights": [np.asarray(weight).tobytes().hex() for weight in model.get_weights()],
    "backends": sorted({"tensorflow", "jax", "torch"} & {name.partition(".")[0] for name in sys.modules}),
}
build().fit(x, y, batch_size=16, verbose=0)
print(json.dumps(told))
