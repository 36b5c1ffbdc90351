"""What `rankzero_jax.capture` and `log` cost a compiled training step of about 10 ms, in each form.

python -m benchmarks.bench_jax_capture
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.blocks import BLOCK, in_turn
from benchmarks.jax_steps import WIDE, adam, stepping, training

PAIRS = 30
EVERY = BLOCK
"""Steps between two samples: one a block, so that what is measured is the mean over all steps."""

PROMISED = ["two programs", "two programs, all", "two programs, histograms"]
FLOOR = "nothing"
KINDS = [FLOOR, *PROMISED, "carried", "carried, all", "log by callback"]


def main() -> None:
    """Measure each form in a process of its own, blocks of its steps in turn with blocks of bare ones."""
    if find_spec("optax") is None:
        print("\nJAX: not measured, as optax is not installed: pip install 'rankzero[jax]'")
        return
    harness.heading(f"JAX: a training step with recording, sampled every {EVERY} steps, beside the same step without")
    found = {kind: harness.fresh("bench_jax_capture", kind) for kind in KINDS}
    columns = ["", "bare step us", "added: wall %", "its thread's CPU %", "all CPU %"]
    rows = [
        [kind, one["bare"], *(one[key] / one["bare"] * 100 for key in ("wall", "thread", "cpu"))]
        for kind, one in found.items()
    ]
    harness.table(columns, rows)
    for kind, _, wall, *_ in rows:
        if kind in PROMISED:
            harness.promise(f"{kind}: time added to a step, amortised", float(wall), 2.0, " %")


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
    return rankzero_jax.jit(step, every=EVERY), begun, None


def measure(kind: str) -> None:
    """The figures of one form, as `blocks.added` has them."""
    import jax

    import rankzero

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        step, begun = training(WIDE, adam())
        bare = stepping(jax.jit(step), begun)
        rankzero.init(project="bench", dir=Path(folder))
        harness.answer(**in_turn(bare, stepping(*opened(kind)), PAIRS))


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
