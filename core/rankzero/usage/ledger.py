"""What the ledger is made of: the attempts of a run and what each of their processes wrote.

Times `t` are seconds of the writer's monotonic clock since the start of its journal, in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FINISHED = "finished"
"""The state of a writer that reached its orderly end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """One process of one attempt.

    Attributes:
        rank: the global rank it claims.
        name: its journal's name, which tells apart two processes that claim one rank; the first in order is the true one.
        started: wall clock at t = 0, seconds since the epoch. It places the writer on the calendar, no duration comes from it.
        boot: names the machine since it was booted, empty if unknown. Writers of one boot share `clock`.
        clock: the machine's monotonic clock at t = 0, in seconds.
        beats: heartbeats `(t, cpu_s)`: the CPU seconds the process had used by then.
        lines: times of any other lines; each is evidence of life.
        steps: step marks `(t, step)`: a row with that step was logged. Only a change of step counts as progress.
        phases: `(t, phase)`: from t on the process was in "evaluation" or "checkpoint"; any other name ends that.
        waits: `(t, seconds)`: by t it had waited that long for input since the wait before.
        compiles: `(t, seconds)`: the last so many seconds up to t went into compiling.
        ended: `(t, state)` if the process could say how it ended.
    """

    rank: int = 0
    name: str = ""
    started: float
    boot: str = ""
    clock: float = 0.0
    beats: Sequence[tuple[float, float]] = ()
    lines: Sequence[float] = ()
    steps: Sequence[tuple[float, int]] = ()
    phases: Sequence[tuple[float, str]] = ()
    waits: Sequence[tuple[float, float]] = ()
    compiles: Sequence[tuple[float, float]] = ()
    ended: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One start of one process group.

    Attributes:
        number: counts the attempts of a run from 1.
        writers: the processes that wrote, in any order; the others are known by `world_size` alone.
        world_size: processes of the job.
        devices: accelerators of the job, 0 if it has none.
        device_kind: what the devices call themselves, for the price table.
        joules: energy that the devices reported for this attempt.
    """

    number: int
    writers: Sequence[Writer]
    world_size: int = 1
    devices: int = 0
    device_kind: str = ""
    joules: float = 0.0
