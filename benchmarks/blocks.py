"""What recording adds to a step, to within some microseconds on a machine that is not quiet: always beside bare steps."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter, process_time, sleep, thread_time

import numpy as np
import psutil

BLOCK = 50
"""Steps in a block: half a second, long enough for the background threads of a tracker to have their turns in it."""

WORK = 0.010
"""Seconds of work beside a small step, for a step of ten milliseconds."""

SETTLE = 0.15
"""Seconds after a block that belong to its CPU time: what its tracker does in the background then is of its steps."""

Step = Callable[[], None]
Times = tuple[float, float, float]
"""Seconds: by the clock, of the thread's CPU, of all threads' CPU."""


def beside_work(bare: Step, recorded: Step, pairs: int) -> dict[str, float]:
    """For what is added to a step whatever its work: a block of recorded steps beside a block of bare ones, small, after work each.

    Args:
        bare: takes a small step.
        recorded: the same, recorded.
        pairs: of blocks that are counted, after one that is not.

    Returns:
        `bare`, microseconds that the loop spends beside its work; and those that recording adds to a step, medians over the
        pairs: `wall`; `thread`, CPU of the thread that trains; `cpu`, that of all threads and of the processes below this one.
    """
    matrix = np.random.default_rng(0).normal(size=(256, 256)).astype("f")
    found: tuple[list[Times], ...] = ([], [])
    children = 0.0
    for turn in range(pairs + 1):
        for side in (turn % 2, 1 - turn % 2):
            before = _cpu_of_children()
            found[side].append(_block((bare, recorded)[side], matrix))
            if turn:
                children += (_cpu_of_children() - before) * (1 if side else -1)
    return _medians(found, children / pairs)


def in_turn(bare: Step, recorded: Step, pairs: int) -> dict[str, float]:
    """For what is added to the work itself: a recorded step right after or before each bare one, summed up over a block.

    The same as `beside_work` of a step that has its own work, but for `cpu`: what is done in the background is left out.
    """
    found: tuple[list[Times], ...] = ([], [])
    for turn in range(pairs + 1):
        sums = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
        for count in range(BLOCK):
            for side in ((turn + count) % 2, (turn + count + 1) % 2):
                for index, seconds in enumerate(_timed((bare, recorded)[side])):
                    sums[side][index] += seconds
        for side in (0, 1):
            found[side].append((sums[side][0], sums[side][1], sums[side][2]))
    return _medians(found, 0.0)


def _block(step: Step, matrix: np.ndarray) -> Times:
    """The times of a block's steps, its work left out."""
    wall = thread = work = 0.0
    cpu = process_time()
    for _ in range(BLOCK):
        began, worked = perf_counter(), thread_time()
        while perf_counter() - began < WORK:
            matrix @ matrix
        work += thread_time() - worked
        began, worked = perf_counter(), thread_time()
        step()
        wall += perf_counter() - began
        thread += thread_time() - worked
    sleep(SETTLE)
    return wall, thread, process_time() - cpu - work


def _timed(step: Step) -> Times:
    cpu, thread, wall = process_time(), thread_time(), perf_counter()
    step()
    return perf_counter() - wall, thread_time() - thread, process_time() - cpu


def _medians(found: tuple[list[Times], ...], children: float) -> dict[str, float]:
    """In microseconds a step; the first of the pairs is left out."""
    differences = [[ours - theirs for theirs, ours in zip(*pair, strict=True)] for pair in zip(*found, strict=True)][1:]
    wall, thread, cpu = (statistics.median(column) / BLOCK * 1e6 for column in zip(*differences, strict=True))
    bare = statistics.median(times[0] for times in found[0][1:]) / BLOCK * 1e6
    return {"bare": bare, "wall": wall, "thread": thread, "cpu": cpu + children / BLOCK * 1e6}


def _cpu_of_children() -> float:
    """Seconds, in hundredths: for sums over many blocks."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        total += times.user + times.system
    return total
