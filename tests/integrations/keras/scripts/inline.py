"""The callback is made among the arguments of the very first `fit`, which fails; the program goes on."""

import keras
import numpy as np

x = np.ones((16, 8), dtype="float32")
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")


class Breaks(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise ZeroDivisionError


def callback():
    from rankzero_keras import RankZeroCallback

    return RankZeroCallback()


try:
    model.fit(x, x[:, :1], callbacks=[callback(), Breaks()], verbose=0)
except ZeroDivisionError:
    print("{}")
import rankzero

rankzero.finish()
