"""An ordinary script for two logical CPU devices, and its scalars for TensorBoard."""

import json

import keras
import numpy as np
import tensorflow as tf

x = np.random.default_rng(0).random((64, 8), dtype="float32")
y = x.sum(1, keepdims=True)
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
keras.utils.set_random_seed(0)
with strategy.scope():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mae"], jit_compile=False)
before = model.get_weights()
board = [keras.callbacks.TensorBoard("board")] if hasattr(tf.summary, "scalar") else []
model.fit(x, y, batch_size=64, epochs=1, callbacks=board, verbose=0)
moved = [(old - new) / 0.01 for old, new in zip(before, model.get_weights(), strict=True)]
if hasattr(tf.summary, "scalar"):
    with tf.summary.create_file_writer("events").as_default():
        tf.summary.scalar("mine", 0.25, step=3)
        tf.summary.scalar("mine", tf.constant(0.5), step=4)
        with tf.summary.record_if(False):
            tf.summary.scalar("mine", 0.75, step=5)
told = {"norm": float(np.sqrt(sum((part**2).sum() for part in moved))), "scalars": hasattr(tf.summary, "scalar")}
print(json.dumps(told))
