"""What `rankzero_jax.capture` and `log` cost a compiled training step of about 10 ms, in each form.

python -m benchmarks.bench_jax_capture [FORM ...]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.jax_steps import WIDE, adam, stepping, training
from benchmarks.switched import in_turn

ROUNDS = 20
EVERY = 50
"""Steps between two samples."""

PROMISED = ["within the step", "within the step, all", "within the step, histograms"]
FLOOR = "nothing"
KINDS = [FLOOR, *PROMISED, "beside the step", "beside the step, all", "carried", "carried, all", "log by callback"]


def main(kinds: list[str]) -> None:
    """Measure each form in a process of its own, its steps in turn with bare ones."""
    if find_spec("optax") is None:
        print("\nJAX: not measured, as optax is not installed: pip install 'rankzero[jax]'")
        return
    harness.heading(f"JAX: a training step with recording, sampled every {EVERY} steps, beside the same step without")
    found = {kind: harness.fresh("bench_jax_capture", "measure", kind) for kind in kinds}
    spread = {
        kind: [f"{one[name]:.0f} ±{one[f'{name} error']:.0f}" for name in ("wall", "thread")]
        for kind, one in found.items()
    }
    columns = ["", "bare step us", "added: wall us", "its thread's CPU us"]
    harness.table(columns, [[kind, one["alone"], *spread[kind]] for kind, one in found.items()])
    for kind, one in found.items():
        if kind in PROMISED:
            harness.promise(f"{kind}: time added to a step, amortised", one["wall"] / one["alone"] * 100, 2.0, " %")


def opened(kind: str) -> tuple[Callable[..., Any], Any, Callable[..., Any] | None]:
    """The compiled step that is recorded, what it begins with, and what is called after it."""
    import jax

    import rankzero_jax

    if kind == FLOOR:
        step, begun = training(WIDE, adam())
        return jax.jit(step), begun, None
    if kind == "log by callback":
        return jax.jit(training(WIDE, adam(), rankzero_jax.log)[0]), training(WIDE, adam())[1], None
    carry = "carried" in kind
    captured = rankzero_jax.capture(
        adam(), log="all" if "," in kind else "gradients", histograms="histograms" in kind, carry=carry, every=EVERY
    )
    step, begun = training(WIDE, captured)
    if carry:
        return jax.jit(step), begun, lambda state, _, number: rankzero_jax.record(state[1], step=number)
    return rankzero_jax.jit(step, every=EVERY, exact="beside" in kind), begun, None


def measure(kind: str) -> None:
    """The figures of one form, see `switched.in_turn`."""
    import jax

    import rankzero

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        step, begun = training(WIDE, adam())
        at = [begun, 0]
        bare = stepping(jax.jit(step), at)
        rankzero.init(project="bench", dir=Path(folder))
        compiled, begun, after = opened(kind)
        if "carried" in kind:  # its state is another one; else where arrays lie in memory is the same for both
            at = [begun, 0]
        in_turn(bare, stepping(compiled, at, after, first=EVERY), EVERY, ROUNDS)


if __name__ == "__main__":
    measure(sys.argv[2]) if sys.argv[1:2] == ["measure"] else main(sys.argv[1:] or KINDS)
