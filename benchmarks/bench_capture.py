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
    harness.heading(f"examples/digits_ddp.py, {ROUNDS} x {EPOCHS} epochs in turns: milliseconds a step")
    epochs: dict[str, list[float]] = {"plain": [], "rankzero run": []}
    cpus: dict[str, list[float]] = {"plain": [], "rankzero run": []}
    for _ in range(ROUNDS):
        for name, before in (("plain", []), ("rankzero run", ["rankzero", "run"])):
            walls, cpu = one([*before, *TORCHRUN])
            epochs[name] += walls
            cpus[name].append(cpu)
    low = {name: harness.percentile(walls, 0.25) for name, walls in epochs.items()}
    rows = [[name, low[name], statistics.median(epochs[name]), statistics.median(cpus[name])] for name in epochs]
    harness.table(["", "wall, lower quartile", "wall, median", "CPU of both ranks"], rows)
    wall = low["rankzero run"] / low["plain"]
    cpu = statistics.median(ours / plain for ours, plain in zip(cpus["rankzero run"], cpus["plain"], strict=True))
    harness.promise("added step time (lower quartiles: other programs disturb them least)", (wall - 1) * 100, 2.0, " %")
    harness.promise("added CPU, median of the pairs", (cpu - 1) * 100, 2.0, " %")


def one(command: list[str]) -> tuple[list[float], float]:
    """Run the script; wall milliseconds a step of each epoch, and CPU milliseconds a step, the first two epochs left out."""
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
    epochs = [(after[0] - before[0]) / STEPS * 1e3 for before, after in itertools.pairwise(marks)]
    return epochs, (marks[-1][1] - marks[0][1]) / (len(marks) - 1) / STEPS * 1e3


def _cpu_below(pid: int) -> float:
    total = 0.0
    for process in psutil.Process(pid).children(recursive=True):
        times = process.cpu_times()
        total += times.user + times.system
    return total


if __name__ == "__main__":
    main()
