"""What logging costs the training loop, the machine and the disk.

python -m benchmarks.bench_log
"""

from __future__ import annotations

import contextlib
import io
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import harness
from benchmarks.loggers import OPENERS, Logger, Row, stay_local

TRACKERS = ["rankzero", "tensorboardX", "trackio", "wandb offline"]


def main() -> None:
    latency(1, limit=1.0)
    latency(10, limit=2.0)
    throughput()
    competing()


def latency(scalars: int, limit: float) -> None:
    harness.heading(f"log() of {scalars} scalar{'s' * (scalars > 1)}, in the loop: microseconds a call")
    found = harness.interleaved(3, list(OPENERS), lambda name: harness.fresh("bench_log", "latency", name, scalars))
    harness.table(["", "median", "p99"], [[name, figures["median"], figures["p99"]] for name, figures in found.items()])
    ours = found["rankzero"]
    harness.promise("median", ours["median"], limit, " us")
    harness.promise("p99", ours["p99"], 20.0, " us")
    harness.promise_ratio("median against trackio", ours["median"], found["trackio"]["median"], 1 / 5)
    harness.promise_ratio("median against wandb", ours["median"], found["wandb offline"]["median"], 1 / 50)


def throughput() -> None:
    harness.heading("Rows of 10 scalars as fast as they come, to disk and closed: per point")
    names = [name for name in OPENERS if name != "list.append"]
    found = harness.interleaved(3, names, lambda name: harness.fresh("bench_log", "throughput", name))
    rows = [[name, figures["cpu_us"], figures["points_per_s"]] for name, figures in found.items()]
    harness.table(["", "CPU us", "points/s"], rows)
    ours, floor = found["rankzero"], found["json + write"]
    harness.promise("CPU a point, writer thread included", ours["cpu_us"], 0.4, " us")
    harness.promise_least("points a second on disk", ours["points_per_s"], 3e6)
    harness.promise_least("as a multiple of json and a write a call", ours["points_per_s"] / floor["points_per_s"], 1.0)


def competing() -> None:
    harness.heading(
        "Pure-Python work in the training thread beside 1,000 points a second: slowdown in % (wall: lower quartiles)"
    )
    found = harness.interleaved(1, TRACKERS, lambda name: harness.fresh("bench_log", "competing", name))
    rows = [[name, figures["wall"], figures["cpu"], figures["noise"]] for name, figures in found.items()]
    harness.table(["", "wall", "CPU", "noise (unlogged, median over lower quartile)"], rows)
    harness.promise("slowdown", found["rankzero"]["wall"], 1.0, " %")


def one_latency(logger: Logger, scalars: int) -> None:
    """Time single calls in bursts short enough that no queue fills, with time to drain in between."""
    times: list[int] = []
    step = 0
    row: Row = {f"metric/{index}": 0.1 + index for index in range(scalars)}
    for burst in range(9):
        budget = time.perf_counter() + 0.5
        for _ in range(3000):
            step += 1
            start = time.perf_counter_ns()
            logger.log(row, step)
            if burst:
                times.append(time.perf_counter_ns() - start)
            if time.perf_counter() > budget:
                break
        time.sleep(0.3)
    logger.finish()
    harness.answer(median=harness.percentile(times, 0.5) / 1e3, p99=harness.percentile(times, 0.99) / 1e3)


def one_throughput(logger: Logger) -> None:
    """Log for as long as three million points or two seconds last, close, and divide."""
    row: Row = {f"metric/{index}": 0.1 + index for index in range(10)}
    start, cpu = time.perf_counter(), _cpu()
    step = 0
    while step < 300_000 and (step % 1000 or time.perf_counter() - start < 2):
        step += 1
        row["metric/0"] = step * 0.5
        logger.log(row, step)
    logger.finish()
    points = 10 * step
    harness.answer(cpu_us=(_cpu() - cpu) / points * 1e6, points_per_s=points / (time.perf_counter() - start))


def one_competing(logger: Logger) -> None:
    """Time 100 ms of the same work with and without a row of 10 scalars every 10 ms, in turns.

    The lower quartiles are compared: other programs on the machine disturb them least, while each stretch is long enough
    for the writer to have its turn in it.
    """
    row: Row = {f"metric/{index}": 0.1 + index for index in range(10)}
    rounds = rounds_in_10_ms()
    walls: dict[bool, list[float]] = {True: [], False: []}
    cpus: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(160):
        logged = turn % 2 == 0
        start, cpu = time.perf_counter(), time.process_time()
        for step in range(turn * 10, turn * 10 + 10):
            work(rounds)
            if logged:
                logger.log(row, step)
        walls[logged].append(time.perf_counter() - start)
        cpus[logged].append(time.process_time() - cpu)
        time.sleep(0.15)
    logger.finish()
    low = {logged: harness.percentile(walls[logged], 0.25) for logged in walls}
    harness.answer(
        wall=(low[True] / low[False] - 1) * 100,
        cpu=(statistics.median(cpus[True]) / statistics.median(cpus[False]) - 1) * 100,
        noise=(statistics.median(walls[False]) / low[False] - 1) * 100,
    )


def work(rounds: int) -> int:
    """Pure Python that holds the interpreter."""
    total = 0
    for index in range(rounds):
        total += index & 7
    return total


def rounds_in_10_ms() -> int:
    """As many rounds as take ten milliseconds here: a row of 10 scalars after each makes 1,000 points a second."""
    took = []
    for _ in range(9):
        start = time.perf_counter()
        work(100_000)
        took.append(time.perf_counter() - start)
    return int(100_000 * 0.01 / statistics.median(took))


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure_one(kind: str, name: str, *args: str) -> None:
    """Measure one logger in this process, its chatter kept off the answer."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.redirect_stdout(io.StringIO()):
        stay_local(Path(folder))
        logger = OPENERS[name](Path(folder))
        if kind == "latency":
            one_latency(logger, int(args[0]))
        elif kind == "throughput":
            one_throughput(logger)
        else:
            one_competing(logger)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure_one(*sys.argv[1:])
    else:
        main()
