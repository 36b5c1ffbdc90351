"""What a tracker adds to a training loop: measured in one loop, in which it is switched off and on again."""

from __future__ import annotations

import math
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time, sleep, thread_time
from typing import Any

import numpy as np
import psutil
from benchmarks import harness

import rankzero.plugin

WORK = 0.010
"""Seconds of work in a step."""

WARMUP, BLOCK, PAIRS = 60, 10, 40
"""Steps before the first measurement, steps of a block, pairs of a block without and one with the tracker."""

STEPS = WARMUP + BLOCK * PAIRS * 2 + 2

COLD = 2
"""Steps of a block that are left out: those after a switch."""

SETTLE = 0.12
"""Seconds after a block in which background threads and helper processes finish with it: their CPU counts."""

FIGURES = {"thread": "CPU of the training thread", "wall": "wall", "cpu": "CPU with threads and helpers"}

Switch = Callable[[bool], None]


class Hooks:
    """The functions that rankzero replaces in this process, so that they can be put back for a while."""

    def __init__(self) -> None:
        self._places: dict[tuple[Any, str], Any] = {}
        self._listeners: tuple[Any, ...] = ()
        self._fair = False
        self._replace = rankzero.plugin.replace
        rankzero.plugin.replace = self._noting

    def _noting(self, owner: Any, name: str, around: Any) -> bool:
        done = self._replace(owner, name, around)
        self._places[owner, name] = None
        return done

    def switch(self, on: bool) -> None:
        """Take all of them out, or put them back."""
        self._be_fair()
        module: Any = sys.modules.get("rankzero_pytorch.steps")
        steps = None if module is None else module.steps
        for owner, name in self._places:
            if on and self._places[owner, name] is not None:
                setattr(owner, name, self._places[owner, name])
            elif not on:
                self._places[owner, name] = owner.__dict__[name]
                rankzero.plugin.restore(owner, name)
        if steps is not None and not on:
            self._listeners = steps._listeners  # noqa: SLF001 - there is no public way, nor a use for one
            for listener in self._listeners:
                steps.remove(listener)
        for listener in self._listeners if on else ():
            module.steps.add(listener)

    def _be_fair(self) -> None:
        """Gradients are sampled for a share of the time that passes, of which the tracker is on for a part only."""
        schedule: Any = sys.modules.get("rankzero_pytorch.schedule")
        if schedule is not None and not self._fair:
            self._fair = True
            schedule.SHARE *= BLOCK * WORK / (BLOCK * WORK + SETTLE) / 2


hooks = Hooks()
"""Of this process; made before a framework is imported."""


class Meter:
    """Does the work of each step, and keeps it out of the account of what the loop costs.

    The work is products of matrices, in one thread, for ten milliseconds. Counted is what lies between the end of one step's
    work and the beginning of the next one's: wall time, CPU of the thread that trains, and CPU of the whole process and of those
    it started, background threads and a tracker's helper included. Blocks without and with the tracker alternate, and each is
    compared with the ones around it: what a process, its memory and its machine are like at the time, they share.

    Args:
        switch: takes the tracker out of the loop, and puts it back.
    """

    def __init__(self, switch: Switch) -> None:
        self._matrix = np.random.default_rng(0).normal(size=(256, 256)).astype("f")
        self._switch = switch
        self._steps = 0
        self._blocks: list[dict[str, float]] = []
        self._walls: list[float] = []
        self._left = self._thread = self._thread_left = self._worked = self._cpu = 0.0

    def work(self) -> None:
        """A step's work."""
        began, cpu = perf_counter(), thread_time()
        self._steps += 1
        done = self._steps - WARMUP
        if self._left and done > 0 and (done - 1) % BLOCK >= COLD:
            self._walls.append(began - self._left)
            self._thread += cpu - self._thread_left
        if (done > 0 and done % BLOCK == 0) or not done:
            self._end_block(done)
            began, cpu = perf_counter(), thread_time()
        while perf_counter() - began < WORK:
            self._matrix @ self._matrix
        self._worked += thread_time() - cpu
        self._left, self._thread_left = perf_counter(), thread_time()

    def _begin(self) -> None:
        self._walls = []
        self._left = self._thread = self._thread_left = self._worked = 0.0
        self._cpu = process_time() + cpu_of_children()

    def _end_block(self, done: int) -> None:
        """Note the figures of a block, in microseconds a step, and throw the switch."""
        if done:
            sleep(SETTLE)
            cpu = process_time() + cpu_of_children() - self._cpu - self._worked
            self._blocks.append({
                "thread": self._thread / len(self._walls) * 1e6, "wall": statistics.median(self._walls) * 1e6,
                "cpu": cpu / BLOCK * 1e6,
            })  # fmt: skip
        if len(self._blocks) == 2 * PAIRS:
            self._tell()
        self._switch(len(self._blocks) % 2 == 1 or len(self._blocks) == 2 * PAIRS)
        self._begin()

    def _tell(self) -> None:
        """The mean difference of neighbours and its standard error, and the loop without the tracker."""
        figures: dict[str, float] = {}
        for name in FIGURES:
            off, on = ([block[name] for block in self._blocks[start::2]] for start in (0, 1))
            between = [(a + b) / 2 for a, b in zip(off, [*off[1:], off[-1]], strict=True)]
            added = _kept([with_it - without for with_it, without in zip(on, between, strict=True)])
            figures |= {name: statistics.fmean(added), f"{name} error": statistics.stdev(added) / len(added) ** 0.5}
            figures[f"{name} alone"] = statistics.median(off)
        harness.answer(**figures)


def cpu_of_children() -> float:
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


def in_turn(bare: Callable[[], None], recorded: Callable[[], None], every: int, rounds: int) -> None:
    """For what is added to the work itself: a step that is recorded right before or after each bare one.

    What happens at every `every`-th step only (a sample, the first of a round) is measured by itself and then spread over all. A
    step's work differs by far more than what is looked for: of the differences the median counts.
    """
    usual: list[list[float]] = []
    seldom: list[list[float]] = []
    alone: list[float] = []
    for turn in range(rounds * every + every):
        times = [(0.0, 0.0), (0.0, 0.0)]
        for side in (turn % 2, 1 - turn % 2):
            times[side] = _timed((bare, recorded)[side])
        if turn >= every:  # compiled, and warm
            added = [ours - theirs for theirs, ours in zip(*times, strict=True)]
            (usual if turn % every else seldom).append(added)
            alone.append(times[0][0])
    figures = {"alone": statistics.median(alone) * 1e6}
    for name, often, once in zip(("wall", "thread"), zip(*usual, strict=True), zip(*seldom, strict=True), strict=True):
        parts = [(often, 1 - 1 / every), (once, 1 / every)]
        figures[name] = sum(statistics.median(column) * share for column, share in parts) * 1e6
        figures[f"{name} error"] = sum((_uncertainty(column) * share) ** 2 for column, share in parts) ** 0.5 * 1e6
    harness.answer(**figures)


def _uncertainty(values: Sequence[float]) -> float:
    """The standard error of their median, of normal ones by the middle half."""
    low, _, high = statistics.quantiles(values)
    return 1.2533 * (high - low) / 1.349 / math.sqrt(len(values))


def _timed(step: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of the thread's CPU."""
    thread, wall = thread_time(), perf_counter()
    step()
    return perf_counter() - wall, thread_time() - thread


def _kept(values: list[float]) -> list[float]:
    """Without the twentieth at each end: what happens every few steps counts, what else the machine does once does not."""
    cut = len(values) // 20
    return sorted(values)[cut : len(values) - cut]


def compare(module: str, kinds: list[str], ours: list[str], modes: dict[str, int]) -> None:
    """Measure each kind of logging in each mode, a process each, and check the promises in the first mode.

    Args:
        module: the benchmark; its arguments are a kind and a mode's number.
        kinds: its ways of logging, of which the first logs nothing: what it shows is noise.
        ours: those of them that are rankzero's.
        modes: how often there is something to log: in words, and the steps between.
    """
    for index, (words, every) in enumerate(modes.items()):
        found: dict[str, dict[str, float]] = {}
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as here:
            os.environ["RANKZERO_DIR"] = here
            for kind in kinds:
                found[kind] = harness.fresh(module, kind, every)
        alone = ", ".join(f"{found[kinds[0]][f'{name} alone']:.0f} {text}" for name, text in FIGURES.items())
        print(f"\n  {words}: microseconds a step beside {WORK * 1e3:.0f} ms of work; the loop alone: {alone}")
        print(f"  Added: the mean, and its standard error, of {PAIRS} pairs of blocks of {BLOCK} steps")
        harness.table(
            ["", *FIGURES.values()], [[kind, *(_spread(found[kind], name) for name in FIGURES)] for kind in kinds]
        )
        _check(found, ours, [kind for kind in kinds[1:] if kind not in ours], promised=not index)


def _spread(figures: dict[str, float], name: str) -> str:
    return f"{figures[name]:.0f} ±{figures[f'{name} error']:.0f}"


def _check(found: dict[str, dict[str, float]], ours: list[str], others: list[str], *, promised: bool) -> None:
    percent = WORK * 1e6 / 100
    for kind in ours:
        for name in ("thread", "wall") if promised else ():
            harness.promise(f"{kind}: {FIGURES[name]} added to a step of 10 ms", found[kind][name] / percent, 1.0, " %")
        for other in others:
            mine, theirs = max(found[kind]["cpu"], 1.0), max(found[other]["cpu"], 1.0)
            harness.promise_ratio(f"{kind}: CPU with threads and helpers, against {other}", mine, theirs, 1 / 3)
