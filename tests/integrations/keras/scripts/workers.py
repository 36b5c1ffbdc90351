"""A loop of its own for the processes of TF_CONFIG: `Model.fit` does not support their strategy in Keras 3."""

import json

import keras
import numpy as np
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()
from rankzero_keras import RankZeroCallback

x = np.random.default_rng(0).random((32, 8), dtype="float32")
y = x.sum(1, keepdims=True)
keras.utils.set_random_seed(0)
with strategy.scope():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    model.optimizer.build(model.trainable_variables)


def step():
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x) - y) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    model.optimizer.apply([gradient / 2 for gradient in gradients], model.trainable_variables)
    return loss


compiled = tf.function(lambda: strategy.reduce("MEAN", strategy.run(step), axis=None))
callbacks = keras.callbacks.CallbackList([RankZeroCallback()], model=model)
losses = []
callbacks.on_train_begin()
callbacks.on_epoch_begin(0)
for batch in range(3):
    callbacks.on_train_batch_begin(batch)
    losses.append(float(compiled()))
    callbacks.on_train_batch_end(batch, {"loss": losses[-1]})
callbacks.on_epoch_end(0, {"loss": losses[-1]})
callbacks.on_train_end()
print(json.dumps(losses))
