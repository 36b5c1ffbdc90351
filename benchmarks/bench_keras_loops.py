"""What recording a loop of one's own in Keras costs, whose step is compiled: rankzero with no change, beside other trackers by hand.

On TensorFlow the step is a `tf.function`, on JAX a jitted function with `stateless_apply`, as Keras's guides have them. Each kind
is switched off and on beside steps of 10 ms. The others are given what rankzero sees there: learning rate, on JAX the loss too.

KERAS_BACKEND=tensorflow python -m benchmarks.bench_keras_loops [KIND ...]
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import harness, switched
from benchmarks.loggers import OPENERS, stay_local

FLOOR, OURS = "nothing", "rankzero, no change"
PEERS = {"wandb offline": "wandb", "tensorboardX": "tensorboardX"}
RATE = 0.01

Step = Callable[[], Any]


def main(kinds: list[str]) -> None:
    """Measure each in a process of its own."""
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow" if find_spec("tensorflow") else "jax")
    if find_spec("keras") is None or backend not in STEPS or find_spec(backend) is None:
        print("\nKeras, loops of one's own: not measured, as Keras or its TensorFlow or JAX is not installed")
        return
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    harness.heading(f"Keras on {backend}: a loop of one's own with a compiled step, each kind switched off and on")
    for kind in [kind for kind in kinds if find_spec(PEERS.get(kind, "keras")) is None]:
        print(f"  without {kind}: it is not installed")
        kinds.remove(kind)
    switched.compare("bench_keras_loops", kinds, [OURS], {"at every step": 1})


def on_tensorflow() -> Step:
    """A step, with a model and an optimizer of its own."""
    import keras
    import tensorflow as tf

    model, optimizer, x = _model(), keras.optimizers.Adam(RATE), tf.ones((32, 16))

    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(x) ** 2)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    compiled: Step = tf.function(step)
    return compiled


def on_jax() -> Step:
    """A step, with a model and an optimizer of its own."""
    import jax
    import keras

    model, optimizer, x = _model(), keras.optimizers.Adam(RATE), jax.numpy.ones((32, 16))
    optimizer.build(model.trainable_variables)

    def loss_of(values: Any) -> Any:
        return (model.stateless_call(values, [], x)[0] ** 2).mean()

    @jax.jit
    def step(values: Any, slots: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(values)
        return loss, *optimizer.stateless_apply(slots, gradients, values)

    state = [[variable.value for variable in of.variables] for of in (model, optimizer)]

    def take() -> Any:
        loss, *state[:] = step(*state)
        return loss

    return take


STEPS = {"tensorflow": on_tensorflow, "jax": on_jax}


def _model() -> Any:
    import keras

    return keras.Sequential([keras.Input((16,)), keras.layers.Dense(16), keras.layers.Dense(1)])


def recorded(name: str, folder: Path, make: Callable[[], Step]) -> Step:
    """A step that is recorded in this way."""
    if name == OURS:
        os.environ.update(RANKZERO_LAUNCH="bench", RANKZERO_DIR=str(folder))
        if make is on_jax:
            from rankzero_jax.zero_change import activate

            activate()
        from rankzero_keras.integration import integration

        integration.activate()
        return make()
    step, number = make(), 0
    if name == FLOOR:
        return step
    stay_local(folder)
    log = OPENERS[name](folder).log

    def logged() -> None:
        nonlocal number
        loss = step()
        number += 1
        log({"lr": RATE} if make is on_tensorflow else {"lr": RATE, "loss": float(loss)}, number)

    return logged


def measure(name: str) -> None:
    """The loop of one; the meter in it answers."""
    make = STEPS[os.environ["KERAS_BACKEND"]]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bare = make()
        bare()
        taken = [recorded(name, Path(folder), make)]
        both = {False: bare, True: taken[0]}

        def switch(on: bool) -> None:
            taken[0] = both[on]

        meter = switched.Meter(switch)
        for _ in range(switched.STEPS):
            meter.work()
            taken[0]()


if __name__ == "__main__":
    measure(sys.argv[1]) if sys.argv[2:] == ["1"] else main(sys.argv[1:] or [FLOOR, OURS, *PEERS])
