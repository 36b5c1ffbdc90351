"""What recording costs a compiled JAX training step of about 10 ms: each form of `capture`, `log`, and a script with no change.

python -m benchmarks.bench_jax_capture
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from benchmarks import harness

WIDTH, DEPTH, BATCH = 512, 4, 128
EVERY = 50
PAIRS = 16 * EVERY
LIMITS = {
    "two programs": 2.0,
    "two programs, histograms": 2.0,
    "zero change": 1.0,
}
KINDS = [
    "zero change",
    "two programs",
    "two programs, histograms",
    "carried",
    "carried, all",
    "log as outputs",
    "log by callback",
]


def main() -> None:
    """Measure each form in a process of its own, its steps in turn with those of the bare step."""
    if find_spec("optax") is None:
        print("\nJAX: not measured, as optax is not installed: pip install 'rankzero[jax]'")
        return
    harness.heading(f"JAX: a training step with recording, sampled every {EVERY} steps, beside the same step without")
    rows = []
    for kind in KINDS:
        found = harness.fresh("bench_jax_capture", kind)
        rows.append([kind, *(found[column] for column in ("bare", "usual", "sampled", "added", "cpu"))])
        if kind in LIMITS:
            harness.promise(f"{kind}: time added to a step, amortised", found["added"], LIMITS[kind], " %")
            harness.promise(f"{kind}: CPU added to a step, amortised", found["cpu"], LIMITS[kind], " %")
    harness.table(["", "bare ms", "most steps %", "sampled step %", "amortised %", "of CPU %"], rows)


def network() -> tuple[Any, Any, Any, Any]:
    """Parameters of a multilayer perceptron, its loss, and a batch."""
    import jax
    import jax.numpy as jnp

    keys = jax.random.split(jax.random.key(0), DEPTH + 2)
    params = {f"layer{i}": jax.random.normal(keys[i], (WIDTH, WIDTH)) * 0.05 for i in range(DEPTH)}

    def loss_of(params: Any, x: Any, y: Any) -> Any:
        for layer in params.values():
            x = jax.nn.relu(x @ layer)
        return jnp.mean((x - y) ** 2)

    x, y = (jax.random.normal(key, (BATCH, WIDTH)) for key in keys[-2:])
    return params, loss_of, x, y


def steps(kind: str) -> tuple[Any, Any, Any, Any]:
    """The bare step and the recorded one with their optimizers."""
    import jax
    import optax

    import rankzero_jax

    def make(optimizer: Any, log: Any = None) -> Any:
        _, loss_of, x, y = network()

        def step(params: Any, state: Any) -> Any:
            loss, gradients = jax.value_and_grad(loss_of)(params, x, y)
            updates, state = optimizer.update(gradients, state, params)
            if log is not None:
                log({"loss": loss}, state[0].count if kind == "log by callback" else None)
            return optax.apply_updates(params, updates), state, loss

        return step

    adam = optax.adam(1e-3)
    bare = jax.jit(make(adam))
    if kind == "zero change":
        return bare, adam, None, adam
    if kind.startswith("two programs"):
        captured = rankzero_jax.capture(adam, log="all", histograms="histograms" in kind)
        return bare, adam, rankzero_jax.jit(make(captured), every=EVERY), captured
    if kind.startswith("carried"):
        captured = rankzero_jax.capture(adam, log="all" if "all" in kind else "gradients", carry=True, every=EVERY)
        compiled = jax.jit(make(captured))

        def step(params: Any, state: Any) -> Any:
            out = compiled(params, state)
            rankzero_jax.record(out[1], step=0)
            return out

        return bare, adam, step, captured
    compile_it = rankzero_jax.jit if kind == "log as outputs" else jax.jit
    return bare, adam, compile_it(make(adam, rankzero_jax.log)), adam


def measure(kind: str) -> None:
    """Time both steps in this process, in turn; the medians of their differences, of sampled steps and of all others."""
    import rankzero

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if kind == "zero change":
            os.environ["RANKZERO_LAUNCH"], os.environ["RANKZERO_DIR"] = "bench", folder
        else:
            rankzero.init(project="bench", dir=Path(folder))
        bare, plain, recorded, captured = steps(kind)
        if kind == "zero change":
            from rankzero_jax.zero_change import activate

            activate()
            recorded = steps(kind)[0]
        params = network()[0]
        sides = [[bare, params, plain.init(params)], [recorded, params, captured.init(params)]]
        for _ in range(2):
            pair(sides, 0)
        pairs = [pair(sides, turn % 2) for turn in range(PAIRS)]
        whole, often, seldom = shares([(theirs[0], ours[0]) for theirs, ours in pairs])
        _, often_cpu, seldom_cpu = shares([(theirs[1], ours[1]) for theirs, ours in pairs])
        harness.answer(
            bare=whole,
            usual=often,
            sampled=seldom,
            added=often + (seldom - often) / EVERY,
            cpu=often_cpu + (seldom_cpu - often_cpu) / EVERY,
        )


def shares(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    """The median bare step, and in percent of it what is added to most steps and to sampled ones."""
    rare = [ours - theirs for index, (theirs, ours) in enumerate(pairs) if (index + 2) % EVERY == 0]
    usual = [ours - theirs for index, (theirs, ours) in enumerate(pairs) if (index + 2) % EVERY]
    whole = statistics.median(theirs for theirs, _ in pairs)
    return whole, statistics.median(usual) / whole * 100, statistics.median(rare) / whole * 100


def pair(sides: list[list[Any]], first: int) -> list[tuple[float, float]]:
    """Milliseconds of one step of either side and of their CPU, right after one another: what else the machine does hits both."""
    import jax

    times = [(0.0, 0.0), (0.0, 0.0)]
    for side in (first, 1 - first):
        step, weights, state = sides[side]
        began, cpu = perf_counter(), process_time()
        weights, state, loss = step(weights, state)
        jax.block_until_ready((weights, loss))
        times[side] = (perf_counter() - began) * 1e3, (process_time() - cpu) * 1e3
        sides[side][1:] = weights, state
    return times


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
