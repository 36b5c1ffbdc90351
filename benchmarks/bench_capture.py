"""What `rankzero run` costs an unmodified two-process script: its step time and CPU with and without, in turns.

python -m benchmarks.bench_capture
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from benchmarks import harness

ROUNDS = 5
EPOCHS = 14
STEPS = 22
TORCHRUN = ["torchrun", "--nproc-per-node=2", "examples/digits_ddp.py", "--epochs", str(EPOCHS)]


def main() -> None:
    harness.heading(
        f"examples/digits_ddp.py, {ROUNDS} x {EPOCHS} epochs in turns: milliseconds a step, both ranks together for CPU"
    )
    found: dict[str, list[tuple[float, float]]] = {"plain": [], "rankzero run": []}
    for _ in range(ROUNDS):
        found["plain"].append(one(TORCHRUN))
        found["rankzero run"].append(one(["rankzero", "run", *TORCHRUN]))
    middle = {name: [statistics.median(pair[i] for pair in pairs) for i in (0, 1)] for name, pairs in found.items()}
    harness.table(["", "wall", "CPU"], [[name, wall, cpu] for name, (wall, cpu) in middle.items()])
    ratios = [
        [ours[i] / plain[i] for ours, plain in zip(found["rankzero run"], found["plain"], strict=True)] for i in (0, 1)
    ]
    harness.promise("added step time, median of the pairs", (statistics.median(ratios[0]) - 1) * 100, 2.0, " %")
    harness.promise("added CPU, median of the pairs", (statistics.median(ratios[1]) - 1) * 100, 2.0, " %")


def one(command: list[str]) -> tuple[float, float]:
    """Run the script; the wall milliseconds of a median epoch's step, and the CPU per step of the epochs after the first two."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environ = {**os.environ, "PYTHONUNBUFFERED": "1", "RANKZERO_DIR": folder, "OMP_NUM_THREADS": "1"}
        bin_folder = Path(sys.executable).parent
        command = [
            str(bin_folder / command[0]),
            *[str(bin_folder / part) if part == "torchrun" else part for part in command[1:]],
        ]
        command += ["--checkpoint", f"{folder}/model.pt"]
        process = subprocess.Popen(
            command, cwd=harness.ROOT, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        marks = [(time.perf_counter(), _cpu_below(process.pid)) for line in process.stdout if line.startswith("epoch")]
        if process.wait() != 0 or len(marks) != EPOCHS:
            raise SystemExit(f"{' '.join(command)} failed")
    marks = marks[2:]
    epochs = [after[0] - before[0] for before, after in itertools.pairwise(marks)]
    cpu = (marks[-1][1] - marks[0][1]) / (len(marks) - 1)
    return statistics.median(epochs) / STEPS * 1e3, cpu / STEPS * 1e3


def _cpu_below(pid: int) -> float:
    total = 0.0
    for process in psutil.Process(pid).children(recursive=True):
        times = process.cpu_times()
        total += times.user + times.system
    return total


if __name__ == "__main__":
    main()
