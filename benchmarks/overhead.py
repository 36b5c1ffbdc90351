"""What a training loop costs beyond the work of its steps: the framework's own part, and what a tracker adds to it."""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path
from time import perf_counter, process_time, thread_time

import psutil
import torch
from benchmarks import harness

WORK = 0.010
"""Seconds of work in a step."""

WARMUP, STEPS = 60, 400


class Meter:
    """Does the work of each step, and keeps it out of the account of what the loop costs.

    The work is products of matrices, in one thread, for ten milliseconds. CPU is that of the whole process and of those it
    started, such as a tracker's helper, background threads included; wall time is that from the end of one step's work to the
    beginning of the next one's.
    """

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._matrix = torch.randn(256, 256)
        self._left = 0.0
        self._gaps: list[float] = []
        self._cpu = self._worked = 0.0

    def work(self) -> None:
        """A step's work; the first steps are not counted."""
        began, cpu = perf_counter(), thread_time()
        if self._left:
            self._gaps.append(began - self._left)
        if len(self._gaps) == WARMUP:
            self._cpu, self._worked = process_time() + _cpu_of_children(), 0.0
        while perf_counter() - began < WORK:
            self._matrix @ self._matrix
        self._worked += thread_time() - cpu
        self._left = perf_counter()
        if len(self._gaps) == WARMUP + STEPS:
            self._tell()

    def _tell(self) -> None:
        """The figures, in microseconds a step."""
        cpu = process_time() + _cpu_of_children() - self._cpu - self._worked
        harness.answer(cpu=cpu / STEPS * 1e6, wall=statistics.median(self._gaps[WARMUP:]) * 1e6)


def _cpu_of_children() -> float:
    """Seconds of CPU of all processes below this one."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        total += times.user + times.system
    return total


def below_rankzero_run(module: str, *args: object) -> None:
    """Become `rankzero run` of the same benchmark, unless this is it already."""
    if os.environ.get("RANKZERO_LAUNCH"):
        return
    command = [str(Path(sys.executable).with_name("rankzero")), "run", "--quiet", sys.executable, "-m"]
    command += [f"benchmarks.{module}", *map(str, args)]
    os.execv(command[0], command)


def compare(module: str, kinds: list[str], modes: dict[str, int], rounds: int) -> None:
    """Measure each kind of logging in each mode, in turns; the first kind logs nothing, the next two are rankzero's.

    Args:
        module: the benchmark; its arguments are a kind and a mode's number.
        kinds: its ways of logging.
        modes: how often there is something to log: in words, and the steps between.
        rounds: how often each is measured.
    """
    for index, (words, every) in enumerate(modes.items()):

        def measure(kind: str, every: int = every) -> dict[str, float]:
            return harness.fresh(module, kind, every)

        found = harness.interleaved(rounds, kinds, measure)
        plain, percent = found[kinds[0]], WORK * 1e6 / 100
        print(f"\n  {words}: microseconds a step beside {WORK * 1e3:.0f} ms of work")
        added = {kind: found[kind]["cpu"] - plain["cpu"] for kind in kinds}
        rows = [[kind, found[kind]["cpu"], added[kind], found[kind]["wall"] - plain["wall"]] for kind in kinds]
        harness.table(["", "loop's CPU", "added CPU", "added wall, median"], rows)
        if index:
            continue
        for ours in kinds[1:3]:
            harness.promise(f"{ours}: CPU added to a step of 10 ms", added[ours] / percent, 1.0, " %")
            for theirs in kinds[3:]:
                harness.promise_ratio(
                    f"{ours}, against {theirs}", max(added[ours], 1.0), max(added[theirs], 1.0), 1 / 3
                )
