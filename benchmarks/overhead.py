"""What a training loop costs beyond the work of its steps: the framework's own part, and what a tracker adds to it."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter, process_time, sleep, thread_time
from typing import Any

import psutil
import torch
from benchmarks import harness

WORK = 0.010
"""Seconds of work in a step."""

WARMUP, BLOCK, ROUNDS = 60, 40, 10
STEPS = BLOCK * ROUNDS
"""A loop's first steps are not counted; then it runs a block of steps whenever its turn comes, and ends after a few more."""

COLD = 5
"""Steps at the beginning of a block that are not counted: those of another loop came before."""

DRAIN = 0.15
"""Seconds after a block in which a tracker's own threads write what it logged; their CPU belongs to it."""

PATIENCE = 120.0
"""Seconds that a loop may take to begin, and to end."""

AGAIN = "the same again"
"""A second process of the first kind: what it adds is the noise of the figures."""


class Meter:
    """Does the work of each step, and keeps it out of the account of what the loop costs.

    The work is products of matrices, in one thread, for ten milliseconds. A step's wall time and CPU are those of the thread
    that trains, from the end of one step's work to the beginning of the next one's. The process's CPU is that of all its threads
    and of the processes it started, such as a tracker's helper.
    """

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._matrix = torch.randn(256, 256)
        self._turns = _Line(socket.socket(socket.AF_UNIX))
        self._turns.connect(os.environ["BENCH_ADDRESS"])
        self._turns.say(os.environ["BENCH_NAME"])
        self._steps = 0
        self._left = self._left_cpu = 0.0
        self._gaps: list[tuple[float, float]] = []
        self._cpu = self._worked = 0.0

    def work(self) -> None:
        """A step's work."""
        began, cpu = perf_counter(), thread_time()
        self._gaps.append((began - self._left, cpu - self._left_cpu))
        turn, self._steps = self._steps - WARMUP, self._steps + 1
        if turn in range(0, STEPS + 1, BLOCK):
            self._wait_for_turn(answer=turn > 0)
            began, cpu = perf_counter(), thread_time()
        while perf_counter() - began < WORK:
            self._matrix @ self._matrix
        self._left, self._left_cpu = perf_counter(), thread_time()
        self._worked += self._left_cpu - cpu

    def _wait_for_turn(self, *, answer: bool) -> None:
        if answer:
            self._tell()
        self._turns.say("ready")
        self._turns.hear()
        self._gaps.clear()
        self._cpu, self._worked = process_time() + cpu_of_children(), 0.0

    def _tell(self) -> None:
        """The figures of a block, in microseconds a step."""
        sleep(DRAIN)
        cpu = process_time() + cpu_of_children() - self._cpu - self._worked
        walls, cpus = zip(*self._gaps[COLD:], strict=True)
        figures = {"wall": statistics.median(walls), "thread": statistics.median(cpus), "cpu": cpu / BLOCK}
        self._turns.say({name: seconds * 1e6 for name, seconds in figures.items()})


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


def compare(module: str, kinds: Sequence[str], modes: dict[str, int], ours: int = 2) -> None:
    """Measure all kinds of logging in each mode: a process for each, of which one at a time runs a block of steps.

    Args:
        module: the benchmark; its arguments are a kind and a mode's number.
        kinds: its ways of logging: first one that logs nothing, then rankzero's, then others'.
        modes: how often there is something to log: in words, and the steps between.
        ours: how many of the kinds are rankzero's.
    """
    for words, every in modes.items():
        blocks = _in_turns(module, [*kinds, AGAIN], kinds[0], every)
        plain = blocks[kinds[0]]
        added = {kind: _added(blocks[kind], plain) for kind in (*kinds[1:], AGAIN)}
        print(f"\n  {words}: microseconds a step beside {WORK * 1e3:.0f} ms of work")
        loop = {name: statistics.median(block[name] for block in plain) for name in plain[0]}
        rows = [[f"{kinds[0]}: the loop's", *loop.values()]]
        rows += [[f"{kind}: added", *figures.values()] for kind, figures in added.items()]
        harness.table(["", "wall", "CPU of its thread", "CPU of the process"], rows)
        for mine in kinds[1 : 1 + ours]:
            for name, of in {"wall": "wall time", "thread": "CPU of its thread"}.items():
                harness.promise(f"{mine}: {of} added to a step of 10 ms", added[mine][name] / WORK / 1e4, 1.0, " %")
            for theirs in kinds[1 + ours :]:
                few = max(added[mine]["cpu"], 1.0), max(added[theirs]["cpu"], 1.0)
                harness.promise_ratio(f"{mine}, CPU against {theirs}", *few, 1 / 3)


def _added(blocks: list[dict[str, float]], plain: list[dict[str, float]]) -> dict[str, float]:
    """What a kind's blocks cost beyond those of the loop that logs nothing, of the same turn: the median of differences."""
    return {
        name: statistics.median(mine[name] - other[name] for mine, other in zip(blocks, plain, strict=True))
        for name in plain[0]
    }


def _in_turns(module: str, names: Sequence[str], plain: str, every: int) -> dict[str, list[dict[str, float]]]:
    """The blocks of each, in the order of turns."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(socket.create_server(str(folder / "turns"), family=socket.AF_UNIX))
        server.settimeout(PATIENCE)
        for number, name in enumerate(names):
            environ = {"BENCH_ADDRESS": str(folder / "turns"), "BENCH_NAME": name}
            command = [sys.executable, "-m", f"benchmarks.{module}", plain if name == AGAIN else name, str(every)]
            stack.enter_context(_process(command, environ, folder / f"{number}.log"))
        lines = [_Line(server.accept()[0]) for _ in names]
        loops = {line.hear(): line for line in lines}
        for line in lines:
            line.hear()
        sleep(1.0)
        for turn in range(ROUNDS):
            shift = turn % len(names)
            for name in [*names[shift:], *names[:shift]]:
                loops[name].say("go")
                found[name].append(loops[name].hear())
                loops[name].hear()
        for line in lines:
            line.say("end")
    return found


class _Line:
    """One end of a connection on which JSON is said line by line."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(PATIENCE)
        self._end = end

    def connect(self, address: str) -> None:
        self._end.connect(address)

    def say(self, what: object) -> None:
        self._end.sendall(json.dumps(what).encode() + b"\n")

    def hear(self) -> Any:
        heard = b""
        while not heard.endswith(b"\n"):
            more = self._end.recv(1)
            if not more:
                raise SystemExit("a loop ended before its turn")
            heard += more
        return json.loads(heard)


@contextmanager
def _process(command: list[str], environ: dict[str, str], log: Path) -> Iterator[None]:
    """A loop in a process of its own, which ends by itself after its last turn."""
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", **environ}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every import of an edited file would compile it
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=harness.ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield
        code = process.wait(PATIENCE)
    except BaseException:
        process.kill()
        print(log.read_text())
        raise
    if code:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()}")
