"""What recording a fit adds to a step of about ten milliseconds, beside wandb offline and Keras's TensorBoard.

python -m benchmarks.bench_keras [kinds, as "RankZeroCallback,wandb per batch"]

Fits with and without take turns in one process. What is looked at is the time in which the loop tells of batches and epochs, in the
thread that trains, by the clock and by that thread's CPU: all that records is called there. The figures are medians of the
differences of neighbouring fits; "nothing" beside nothing tells how far they can be trusted.
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.loggers import stay_local

KINDS = [
    "nothing", "RankZeroCallback", "with no change", "wandb per batch", "TensorBoard", "RankZeroCallback per epoch",
    "wandb per epoch", "TensorBoard per epoch",
]  # fmt: skip
NEEDS = {
    "wandb per batch": ("wandb", "tensorflow"),
    "wandb per epoch": ("wandb", "tensorflow"),
    "TensorBoard": ("tensorboard", "tensorflow"),
    "TensorBoard per epoch": ("tensorboard", "tensorflow"),
}
"""What the peers import on any backend."""
AGAINST = {
    "RankZeroCallback": ["wandb per batch", "TensorBoard"],
    "with no change": ["wandb per batch", "TensorBoard"],
    "RankZeroCallback per epoch": ["wandb per epoch", "TensorBoard per epoch"],
}
BLOCKS, EPOCHS, BATCHES, WARM = 10, 3, 16, 8
"""Pairs of fits of so many epochs and batches; the first few times that callbacks are told are not looked at."""

ONE_CORE = {
    "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3",
}  # fmt: skip
"""The step's own work stays on one core, so that it takes the same time again."""

FIGURES = ("wall", "thread")
TOLD = ("on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_epoch_end")


def main(wanted: str = "") -> None:
    if importlib.util.find_spec("keras") is None:
        print("SKIP  Keras is not installed: pip install 'rankzero[keras]' and a backend")
        return
    backend = os.environ.get("KERAS_BACKEND") or next(
        (name for name in ("tensorflow", "torch", "jax") if importlib.util.find_spec(name)), "tensorflow"
    )
    os.environ |= {"KERAS_BACKEND": backend, **ONE_CORE}
    harness.heading(f"Keras on {backend}: added to a training step, in microseconds")
    kinds = [kind for kind in wanted.split(",") if kind] or [*KINDS]
    for kind in [*kinds]:
        missing = [package for package in NEEDS.get(kind, ()) if importlib.util.find_spec(package) is None]
        if missing:
            print(f"SKIP  {kind}: {' and '.join(missing)} not installed")
            kinds.remove(kind)
    found = {kind: harness.fresh("bench_keras", "measure", kind.replace(" ", "_")) for kind in kinds}
    rows = [[kind, *[figures[name] for name in ("step", *FIGURES)]] for kind, figures in found.items()]
    harness.table(["", "step ms", "added us", "CPU of its thread"], rows)
    for kind in sorted(set(AGAINST) & set(kinds)):
        for name in FIGURES:
            floor = abs(found["nothing"][name]) if "nothing" in found else 0.0
            share = max(0.0, found[kind][name] - floor) / found[kind]["step"] / 10
            harness.promise(f"Keras on {backend}, {kind}: {name} beyond the floor, of the step", share, 1.0, " %")
            for peer in sorted(set(AGAINST[kind]) & set(kinds)):
                ours, theirs = max(found[kind][name], 1e-6), max(found[peer][name], 1e-6)
                harness.promise_ratio(f"Keras on {backend}, {kind}: {name}, against {peer}", ours, theirs, 1 / 3)


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

    if kind.startswith("RankZeroCallback"):
        from rankzero_keras import RankZeroCallback

        return RankZeroCallback(project="bench", dir=folder, batches=int("per epoch" not in kind))
    if kind.startswith("wandb"):
        import wandb
        from wandb.integration.keras import WandbMetricsLogger

        wandb.init(project="bench", dir=str(folder))
        return WandbMetricsLogger(log_freq="batch" if kind.endswith("batch") else "epoch")
    if kind.startswith("TensorBoard"):
        freq = "epoch" if kind.endswith("epoch") else "batch"
        return keras.callbacks.TensorBoard(str(folder), update_freq=freq, write_graph=False)
    return None


class Marks:
    """The clocks while a fit tells its callbacks of batches and epochs: whatever records is called there, or below."""

    def __init__(self) -> None:
        self._spent = [0.0] * len(FIGURES)
        self._told = 0

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Callbacks are told."""
        began = time.perf_counter(), time.thread_time()
        yield
        if self._told >= WARM:
            for at, now in enumerate((time.perf_counter(), time.thread_time())):
                self._spent[at] += now - began[at]
        self._told += 1

    def listed(self, callbacks: list[Any], model: Any) -> Any:
        """A fit's list of callbacks, clocked."""
        import keras

        class Clocked(keras.callbacks.CallbackList):  # type: ignore[misc]
            """Asks its base to tell them."""

        def around(name: str) -> Callable[..., None]:
            def tell(clocked: Clocked, number: int, logs: Any = None) -> None:
                with self.telling():
                    getattr(super(Clocked, clocked), name)(number, logs)

            return tell

        for name in TOLD:
            setattr(Clocked, name, around(name))
        return Clocked(callbacks, add_history=True, model=model, verbose=0, epochs=EPOCHS, steps=BATCHES)

    def per_step(self) -> list[float]:
        """Seconds in which callbacks were told, of the fit that has ended, by each clock, divided by its steps."""
        batches = EPOCHS * BATCHES - WARM / 2
        found = [spent / batches for spent in self._spent]
        self._spent, self._told = [0.0] * len(FIGURES), 0
        return found


class Listening:
    """What is put into Keras's classes to listen: there for a fit that is recorded, and not for one that is not."""

    def __init__(self, *, no_change: bool) -> None:
        import keras
        from keras.src.saving import saving_lib

        owners = [*keras.Model.__mro__, keras.callbacks.CallbackList, *keras.optimizers.Adam.__mro__, saving_lib]
        before = [dict(vars(owner)) for owner in owners]
        if no_change:
            os.environ["RANKZERO_LAUNCH"] = "bench"
            from rankzero_keras.integration import integration

            integration.activate()
        else:
            from rankzero_keras.listening.models import install

            install()
        self._before = list(zip(owners, before, strict=True))
        self._taken: list[tuple[Any, str, Any]] = []

    def set(self, *, on: bool) -> None:
        """Put it there, or what was there before; some of it comes with the first fit."""
        for owner, name, new in self._taken:
            setattr(owner, name, new)
        self._taken = [] if on else list(self._changed())
        for owner, name, _ in self._taken:
            setattr(owner, name, dict(self._before)[owner][name])

    def _changed(self) -> Iterator[tuple[Any, str, Any]]:
        for owner, old in self._before:
            for name, new in dict(vars(owner)).items():
                if name in old and old[name] is not new and callable(new):
                    yield owner, name, new


def measure(kind: str) -> None:
    """Fit with and without, by turns, and answer with the medians of the differences."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name)
        stay_local(folder)
        os.environ["RANKZERO_DIR"] = name
        marks = Marks()
        mine = kind in AGAINST
        listening = Listening(no_change=kind == "with no change") if mine else None
        model, x, y = build()
        callback = callback_of(kind, folder)

        def fit(*, on: bool) -> list[float]:
            if listening is not None:
                listening.set(on=on)
            callbacks = [callback] if on and callback is not None else []
            listed = marks.listed(callbacks, model)
            began = time.perf_counter()
            model.fit(x, y, batch_size=128, epochs=EPOCHS, shuffle=False, callbacks=listed, verbose=0)
            return [*marks.per_step(), (time.perf_counter() - began) / (EPOCHS * BATCHES)]

        for on in (False, True, True):
            fit(on=on)
        pairs = []
        for index in range(BLOCKS):
            found = {on: fit(on=on) for on in (index % 2 == 0, index % 2 == 1)}
            pairs.append((found[False], found[True]))
        step = statistics.median(plain[-1] for plain, _ in pairs)
        added = {
            name: statistics.median(recorded[at] - plain[at] for plain, recorded in pairs) * 1e6
            for at, name in enumerate(FIGURES)
        }
        harness.answer(step=step * 1e3, **added)


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        measure(sys.argv[2].replace("_", " "))
    else:
        main(*sys.argv[1:2])
