"""A fit that does what a plan says."""

import os
from pathlib import Path

import keras
import numpy as np


class Follows(keras.callbacks.Callback):
    def __init__(self, plan, losses):
        super().__init__()
        self.plan = plan
        self.losses = losses
        self.first = not Path("checkpoint.keras").exists()

    def on_epoch_begin(self, epoch, logs=None):
        rank = int(os.environ.get("RANK", "0"))
        if epoch + 1 == self.plan.fail_at and self.first and rank == self.plan.fail_rank:
            raise ValueError("failed on purpose")

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["loss"])
        if self.plan.save_at and (epoch + 1) % self.plan.save_at == 0:
            self.model.save("checkpoint.keras")


def train(plan):
    losses = [fit(plan, number) for number in range(plan.fits)]
    if plan.by_hand:
        import rankzero

        rankzero.finish()
    return {"loss": losses[0], "others": losses[1:]}


def fit(plan, number):
    keras.utils.set_random_seed(number)
    x = np.random.default_rng(0).random((16, 4), dtype="float32")
    losses, done = [], 0
    callbacks = [Follows(plan, losses)]
    if plan.by_hand:
        from rankzero_keras import RankZeroCallback

        callbacks.append(RankZeroCallback(project="conformance", log="all", log_freq=2))
    if Path("checkpoint.keras").exists():
        model = keras.models.load_model("checkpoint.keras")
        done = int(model.optimizer.iterations)
    else:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.01), "mse")
    y = x.sum(1, keepdims=True)
    model.fit(x, y, batch_size=16, epochs=plan.steps, initial_epoch=done, callbacks=callbacks, verbose=0)
    return losses
