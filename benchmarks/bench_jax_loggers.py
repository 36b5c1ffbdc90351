"""What logging a JAX loop of about 10 ms a step costs: rankzero with no change and by hand, beside other trackers by hand.

Each records loss and learning rate at every step; all take the loss from the same compiled step.

python -m benchmarks.bench_jax_loggers [KIND ...]
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
from benchmarks.jax_steps import RATE, SMALL, adam, stepping, training
from benchmarks.loggers import OPENERS, stay_local

FLOOR = "nothing"
PROMISED = ["rankzero, no change", "rankzero_jax.log in jit", "rankzero_jax.log outside", "rankzero MetricWriter"]
PEERS = {"wandb offline": "wandb", "tensorboardX": "tensorboardX", "clu to TensorBoard": "clu"}


def main(kinds: list[str]) -> None:
    """Measure each in a process of its own, in a loop in which it is switched off and on."""
    if find_spec("optax") is None:
        print("\nJAX: not measured beside others, as optax is not installed: pip install 'rankzero[jax]'")
        return
    harness.heading("JAX: a loop that records loss and learning rate at every step, each kind switched off and on")
    for kind in [kind for kind in kinds if find_spec(PEERS.get(kind, "jax")) is None]:
        print(f"  without {kind}: it is not installed")
        kinds.remove(kind)
    switched.compare("bench_jax_loggers", kinds, [kind for kind in kinds if kind in PROMISED], {"at every step": 1})


def opened(name: str, folder: Path) -> tuple[Callable[..., Any], Any, Callable[..., Any] | None]:
    """The compiled step that is recorded, what it begins with, and what is called after it."""
    import jax

    step, begun = training(SMALL, adam())
    if name == FLOOR:
        return jax.jit(step), begun, None
    if name == "rankzero, no change":
        os.environ.update(RANKZERO_LAUNCH="bench", RANKZERO_DIR=str(folder))
        from rankzero_jax.zero_change import activate

        activate()
        step, begun = training(SMALL, adam())
        return jax.jit(step), begun, None
    if name in PEERS:
        write = _clu(folder) if name.startswith("clu") else _peer(name, folder)
        return jax.jit(step), begun, lambda _, loss, number: write({"loss": float(loss), "lr": RATE}, number)
    import rankzero
    import rankzero_jax

    rankzero.init(project="bench", dir=folder)
    if name == "rankzero_jax.log in jit":
        return rankzero_jax.jit(training(SMALL, adam(), lambda row, _: rankzero_jax.log(row))[0]), begun, None
    log: Callable[..., Any] = rankzero_jax.log
    if "MetricWriter" in name:
        writer = rankzero_jax.MetricWriter()
        log = lambda row, number: writer.write_scalars(number, row)  # noqa: E731
    return jax.jit(step), begun, lambda _, loss, number: log({"loss": loss, "lr": RATE}, number)


def _peer(name: str, folder: Path) -> Callable[..., Any]:
    stay_local(folder)
    return OPENERS[name](folder).log


def _clu(folder: Path) -> Callable[..., Any]:
    from clu import metric_writers

    writer = metric_writers.create_default_writer(str(folder), asynchronous=True)
    return lambda row, number: writer.write_scalars(number, row)


def measure(name: str) -> None:
    """The loop of one; the meter in it answers."""
    import jax

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        step, begun = training(SMALL, adam())
        bare = stepping(jax.jit(step), [begun, 0])
        compiled, begun, after = opened(name, Path(folder))
        recorded = stepping(compiled, [begun, 0], after, first=switched.WARMUP)
        taken = [recorded]

        def switch(on: bool) -> None:
            taken[0] = recorded if on else bare

        meter = switched.Meter(switch)
        for _ in range(switched.STEPS):
            meter.work()
            taken[0]()


if __name__ == "__main__":
    measure(sys.argv[1]) if sys.argv[2:] == ["1"] else main(sys.argv[1:] or [FLOOR, *PROMISED, *PEERS])
