"""From the journals of a run to the events its usage is made of."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from rankzero import usage
from rankzero.query.attempts import Attempt
from rankzero.query.table import Table
from rankzero.query.writer import Writer
from rankzero.records import Meta, Phase

ASIDE = ("system/", "time/compile", "compile/")
"""Rows of nothing but these are no sign of progress: samples of the machine, compilations."""

_THINNED = 1.0


def ledger(attempts: Iterable[Attempt]) -> list[usage.Attempt]:
    """The attempts as the usage room takes them; all journals must have been read whole."""
    return [_attempt(attempt) for attempt in attempts]


def devices(attempt: Attempt) -> tuple[int, str]:
    """How many accelerators the attempt's processes use, and of which kind.

    Each rank says how many are its own; ranks that did not are taken to have as many as rank zero.
    """
    own: dict[int, int] = {}
    kind = ""
    for writer in attempt.writers:
        for meta in writer.of(Meta):
            if meta.devices is not None and not writer.second:
                own[writer.rank] = meta.devices
                kind = kind or meta.device_kind or ""
    unknown = max(0, attempt.world_size - len(own))
    return sum(own.values()) + unknown * own.get(attempt.zero.rank, 0), kind


def _attempt(attempt: Attempt) -> usage.Attempt:
    count, kind = devices(attempt)
    return usage.Attempt(
        number=attempt.number,
        writers=[_writer(writer, leading=writer is attempt.zero) for writer in attempt.writers],
        world_size=attempt.world_size,
        devices=count,
        device_kind=kind,
    )


def _writer(writer: Writer, *, leading: bool) -> usage.Writer:
    end = writer.end
    tables = writer.tables
    lines = array("q", [writer.latest])
    for table in tables:
        lines.extend(table.times)
    return usage.Writer(
        rank=writer.rank,
        name=writer.name,
        started=writer.start.wall,
        boot=writer.start.boot,
        clock=writer.start.clock,
        beats=[(t / 1e6, cpu) for t, cpu, _ in writer.beats],
        lines=list(_thinned(sorted(lines))),
        steps=[mark for table in tables for mark in _marks(table)] if leading else (),
        phases=[(phase.t / 1e6, phase.phase) for phase in writer.of(Phase)] if leading else (),
        waits=[wait for table in tables for wait in _waits(table)] if leading else (),
        compiles=list(_compiles(tables)) if leading else (),
        ended=None if end is None else (end.t / 1e6, end.state),
    )


def _marks(table: Table) -> Iterator[tuple[float, int]]:
    """When which step was logged, repetitions left out."""
    if all(key.startswith(ASIDE) for key in table.keys):
        return
    before = None
    for t, step in zip(table.times, table.steps, strict=True):
        if step != before:
            yield t / 1e6, step
            before = step


def _waits(table: Table) -> Iterator[tuple[float, float]]:
    if "time/input" in table.keys:
        for t, seconds in zip(table.times, table.column("time/input"), strict=True):
            yield t / 1e6, seconds


def _compiles(tables: Iterable[Table]) -> Iterator[tuple[float, float]]:
    """From what had been compiled so far to what was since the row before."""
    told = [
        (t / 1e6, seconds)
        for table in tables
        if "time/compile" in table.keys
        for t, seconds in zip(table.times, table.column("time/compile"), strict=True)
    ]
    before = 0.0
    for t, seconds in sorted(told):
        yield t, seconds - before
        before = seconds


def _thinned(times: list[int]) -> Iterator[float]:
    """Times in seconds, of those less than a second apart only the first and last of a group and one a second between."""
    kept = -2 * _THINNED
    last = len(times) - 1
    for index, t in enumerate(times):
        seconds = t / 1e6
        if index == last or seconds - kept >= _THINNED or times[index + 1] / 1e6 - seconds >= _THINNED:
            yield seconds
            kept = seconds
