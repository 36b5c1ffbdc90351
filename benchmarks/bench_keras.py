"""What recording a fit costs on a step of about ten milliseconds: wall and CPU, beside wandb offline and Keras's TensorBoard.

python -m benchmarks.bench_keras
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.loggers import stay_local

KINDS = ["nothing", "RankZeroCallback", "with no change", "wandb offline", "TensorBoard"]
PEERS = {"wandb offline": "wandb", "TensorBoard": "tensorflow"}
BLOCKS, BATCHES = 10, 60
"""Fits of so many batches, recorded and not by turns: the machine's own changes fall on both alike."""


def main() -> None:
    if importlib.util.find_spec("keras") is None:
        print("SKIP  Keras is not installed: pip install 'rankzero[keras]' and a backend")
        return
    backend = os.environ.get("KERAS_BACKEND") or next(
        (name for name in ("jax", "torch", "tensorflow") if importlib.util.find_spec(name)), "tensorflow"
    )
    os.environ["KERAS_BACKEND"] = backend
    harness.heading(f"Keras on {backend}: added to a training step, by a row of metrics at every batch")
    kinds = [kind for kind in KINDS[1:] if importlib.util.find_spec(PEERS.get(kind, "keras"))]
    for kind in set(KINDS[1:]) - set(kinds):
        print(f"SKIP  {kind}: {PEERS[kind]} is not installed")
    found = harness.interleaved(2, kinds, lambda kind: harness.fresh("bench_keras", kind.replace(" ", "_")))
    rows = [
        [kind, figures["step"], figures["wall"], figures["cpu"], figures["wall"] / figures["step"] / 10]
        for kind, figures in found.items()
    ]
    harness.table(["", "step ms", "added us", "added CPU us", "%"], rows)
    for kind in kinds[:2]:
        figures = found[kind]
        harness.promise(f"Keras, {kind}: of the step", figures["wall"] / figures["step"] / 10, 1.0, " %")
        for peer in kinds[2:]:
            harness.promise_ratio(f"Keras, {kind}: CPU against {peer}", figures["cpu"], found[peer]["cpu"], 1 / 3)


def build() -> tuple[Any, Any, Any]:
    """A model whose step takes about ten milliseconds on one core, and a batch for it."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    width = 512
    layers = [keras.layers.Dense(width, activation="relu") for _ in range(4)]
    model = keras.Sequential([keras.Input((width,)), *layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-4), "mse", metrics=["mae"])
    x = np.random.default_rng(0).random((128 * BATCHES, width), dtype=np.float32)
    return model, x, x.sum(1, keepdims=True)


def callback_of(kind: str, folder: Path) -> Any:
    """What records, by hand; None where it is the process that was started for it."""
    import keras

    if kind == "RankZeroCallback":
        from rankzero_keras import RankZeroCallback

        return RankZeroCallback(project="bench", dir=folder)
    if kind == "wandb offline":
        import wandb
        from wandb.integration.keras import WandbMetricsLogger

        wandb.init(project="bench", dir=str(folder))
        return WandbMetricsLogger(log_freq="batch")
    if kind == "TensorBoard":
        return keras.callbacks.TensorBoard(str(folder), update_freq="batch", write_graph=False)
    return None


class Switch:
    """Recording with no change, for one fit and not for the next."""

    def __init__(self) -> None:
        import rankzero
        from rankzero_keras import listening, recording
        from rankzero_keras.integration import integration

        rankzero.init(project="bench")
        integration.activate()
        self._modules = (listening, recording)
        self.set(on=False)

    def set(self, *, on: bool) -> None:
        """Whether the process counts as one that was started by `rankzero run`."""
        for module in self._modules:
            vars(module)["started_by_run"] = lambda: on


def measure(kind: str) -> None:
    """Fit with and without, by turns, and answer with the medians of the differences."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name)
        stay_local(folder)
        os.environ["RANKZERO_DIR"] = name
        model, x, y = build()
        callback = callback_of(kind, folder)
        switch = Switch() if kind == "with no change" else None

        def fit(*, on: bool) -> tuple[float, float]:
            callbacks = [callback] if on and callback is not None else []
            if switch is not None:
                switch.set(on=on)
            wall, cpu = time.perf_counter(), time.process_time()
            model.fit(x, y, batch_size=128, shuffle=False, callbacks=callbacks, verbose=0)
            return (time.perf_counter() - wall) / BATCHES, (time.process_time() - cpu) / BATCHES

        for on in (False, True, True):
            fit(on=on)
        pairs = [(fit(on=False), fit(on=True)) for _ in range(BLOCKS)]
        step = statistics.median(plain[0] for plain, _ in pairs)
        added = [[mine[index] - plain[index] for plain, mine in pairs] for index in (0, 1)]
        wall, cpu = (max(statistics.median(differences), 1e-6) for differences in added)
        harness.answer(step=step * 1e3, wall=wall * 1e6, cpu=cpu * 1e6)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1].replace("_", " "))
    else:
        main()
