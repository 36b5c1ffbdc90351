"""What logging a JAX loop of about 10 ms a step costs: rankzero with no change and by hand, beside other trackers by hand.

Each records at every step the loss, the learning rate and the time of the step; all take the loss from the same compiled step.

python -m benchmarks.bench_jax_loggers
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from benchmarks import harness
from benchmarks.loggers import OPENERS, stay_local

WIDTH, DEPTH, BATCH = 512, 4, 64
TURNS = 600
RATE = 1e-3
PEERS = {"wandb offline": "wandb", "tensorboardX": "tensorboardX"}
OURS = ["rankzero, no change", "rankzero_jax.log in jit", "rankzero_jax.log outside", "MetricWriter"]


def main() -> None:
    """Measure each in a process of its own, its steps in turn with the bare ones."""
    if find_spec("optax") is None:
        print("\nJAX: not measured beside others, as optax is not installed: pip install 'rankzero[jax]'")
        return
    harness.heading(
        f"JAX: a loop that logs loss, learning rate and time at each of {TURNS} steps, beside one that does not"
    )
    found = {}
    for name in [*OURS, *PEERS]:
        if name in PEERS and find_spec(PEERS[name]) is None:
            print(f"  without {name}: it is not installed")
            continue
        found[name] = harness.fresh("bench_jax_loggers", name)
    columns = ["", "bare step ms", "added wall us", "added CPU us", "of a 10 ms step %"]
    rows = [[name, one["bare"], one["wall"], one["cpu"], one["wall"] / 100] for name, one in found.items()]
    harness.table(columns, rows)
    for name in ("rankzero, no change", "rankzero_jax.log in jit"):
        harness.promise(f"{name}: added to a step of 10 ms", found[name]["wall"] / 100, 1.0, " %")
        for peer in PEERS:
            if peer in found:
                harness.promise_ratio(
                    f"{name}: added, of what {peer} adds", found[name]["wall"], found[peer]["wall"], 1 / 3
                )


def steps(log: Callable[..., Any] | None = None) -> tuple[Callable[..., Any], Any]:
    """A training step, that logs from inside if asked to, and what it begins with."""
    import jax
    import jax.numpy as jnp
    import optax

    keys = jax.random.split(jax.random.key(0), DEPTH + 2)
    params = {f"layer{i}": jax.random.normal(keys[i], (WIDTH, WIDTH)) * 0.05 for i in range(DEPTH)}
    x, y = (jax.random.normal(key, (BATCH, WIDTH)) for key in keys[-2:])
    optimizer = optax.adam(RATE)

    def loss_of(params: Any) -> Any:
        hidden = x
        for layer in params.values():
            hidden = jax.nn.relu(hidden @ layer)
        return jnp.mean((hidden - y) ** 2)

    def step(params: Any, state: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(params)
        if log is not None:
            log({"loss": loss, "lr": RATE})
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    return step, (params, optimizer.init(params))


def opened(name: str, folder: Path) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The compiled step that is recorded, and what is called after it with loss, time and step."""
    import jax

    if name == "rankzero, no change":
        os.environ.update(RANKZERO_LAUNCH="bench", RANKZERO_DIR=str(folder))
        from rankzero_jax.zero_change import activate

        activate()
        return jax.jit(steps()[0]), lambda *_: None
    if name in PEERS:
        stay_local(folder)
        logger = OPENERS[name](folder)
        return jax.jit(steps()[0]), lambda loss, seconds, step: logger.log(
            {"loss": float(loss), "lr": RATE, "time": seconds}, step
        )
    import rankzero
    import rankzero_jax

    rankzero.init(project="bench", dir=folder)
    if name == "rankzero_jax.log in jit":
        return rankzero_jax.jit(steps(rankzero_jax.log)[0]), lambda *_: None
    write = rankzero_jax.MetricWriter().write_scalars if name == "MetricWriter" else _log_outside
    return jax.jit(steps()[0]), lambda loss, seconds, step: write(step, {"loss": loss, "lr": RATE, "time": seconds})


def _log_outside(step: int, row: dict[str, Any]) -> None:
    import rankzero_jax

    rankzero_jax.log(row, step)


def measure(name: str) -> None:
    """Medians, over turns, of what a recorded step takes more than a bare one right beside it."""
    import jax

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bare, begun = steps()
        sides: list[tuple[Callable[..., Any], Callable[..., Any]]] = [(jax.jit(bare), lambda *_: None)]
        sides.append(opened(name, Path(folder)))
        states = [begun, begun]
        walls: list[list[float]] = [[], []]
        cpus: list[list[float]] = [[], []]
        for turn in range(TURNS):
            for side in (turn % 2, 1 - turn % 2):
                step, log = sides[side]
                cpu, wall = process_time(), perf_counter()
                *state, loss = step(*states[side])
                jax.block_until_ready((state, loss))
                log(loss, perf_counter() - wall, turn)
                walls[side].append(perf_counter() - wall)
                cpus[side].append(process_time() - cpu)
                states[side] = tuple(state)
        skip = TURNS // 10
        harness.answer(
            bare=statistics.median(walls[0][skip:]) * 1e3,
            wall=statistics.median(b - a for a, b in zip(*(side[skip:] for side in walls), strict=True)) * 1e6,
            cpu=statistics.median(b - a for a, b in zip(*(side[skip:] for side in cpus), strict=True)) * 1e6,
        )


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
