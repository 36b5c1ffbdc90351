"""The attempts of a run: one start of its processes each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rankzero.query.alive import is_alive
from rankzero.query.strictjson import iso
from rankzero.query.verdict import Cause, first_cause, unforeseen_cause
from rankzero.query.writer import Writer
from rankzero.records import UNFORESEEN, End, Event


@dataclass(frozen=True)
class Attempt:
    """All writers of one attempt, in order of rank; a process that claimed a taken rank comes after the one that has it.

    `launch` is the journal in which `rankzero run` kept how the whole command ended, if rank zero could not, and then only its exit
    code counts, or was wrong.
    """

    number: int
    writers: tuple[Writer, ...]
    launch: Writer | None = None

    @property
    def zero(self) -> Writer:
        """Rank zero's writer, or that of the lowest rank there is."""
        return self.writers[0]

    @property
    def ranks(self) -> list[int]:
        """The ranks that wrote something."""
        return sorted({writer.rank for writer in self.writers})

    @property
    def world_size(self) -> int:
        """Number of processes in the job."""
        return max(writer.start.world_size for writer in self.writers)

    @property
    def nodes(self) -> int:
        """Number of machines in the job."""
        return max(writer.start.nodes for writer in self.writers)

    @property
    def launcher(self) -> str:
        """What started the processes: torchrun, slurm, ... or alone."""
        return self.zero.start.launcher

    @cached_property
    def alive(self) -> bool:
        """Whether any of its processes still lives."""
        return any(is_alive(writer) for writer in self.writers)

    @property
    def started(self) -> float:
        """When its first writer started, in seconds since the epoch."""
        return min(writer.start.wall for writer in self.writers)

    @property
    def ended(self) -> float | None:
        """When its last writer ended, in seconds since the epoch; None while it runs."""
        return None if self.alive else max(writer.wall(writer.last) for writer in self.writers)

    @cached_property
    def cause(self) -> Cause | None:
        """What ended it, None if it runs or finished."""
        if self.alive:
            return None
        found, told = first_cause(self.writers), self._unforeseen
        if told is None:
            return found
        return unforeseen_cause(told, self.zero) if found is None else found if told.exit_code else None

    @property
    def state(self) -> str:
        """One of running, finished, failed, preempted, killed, crashed."""
        if self.alive:
            return "running"
        cause = self.cause
        if cause is None:
            return "finished"
        announced = any(event.event == "preempting" for writer in self.writers for event in writer.of(Event))
        return "preempted" if announced and cause.event is None else cause.state

    @property
    def exit_code(self) -> int | None:
        """The exit code of the rank that failed first, else rank zero's; None while unknown."""
        if self.alive:
            return None
        if self._unforeseen is not None:
            return self._unforeseen.exit_code
        cause = self.cause
        own = self.exit_code_of(cause.writer) if cause is not None else None
        if own:
            return own
        end = self.zero.end
        if end is None and self.launch is not None:
            end = self.launch.end
        code = None if end is None else end.exit_code
        return None if cause is not None and code == 0 else code

    def exit_code_of(self, writer: Writer) -> int | None:
        """The exit code of one of its processes; None where nothing is known of it."""
        if self._unforeseen is not None and writer is self.zero:
            return self._unforeseen.exit_code
        return None if writer.end is None else writer.end.exit_code

    @property
    def _unforeseen(self) -> End | None:
        """The end that stands for rank zero's own."""
        end = None if self.launch is None else self.launch.end
        return end if end is not None and end.reason == UNFORESEEN else None

    def document(self) -> dict[str, Any]:
        """This attempt as it stands in JSON."""
        return {
            "number": self.number,
            "state": self.state,
            "started_at": iso(self.started),
            "ended_at": iso(self.ended),
            "exit_code": self.exit_code,
            "world_size": self.world_size,
            "nodes": self.nodes,
            "launcher": self.launcher,
            "ranks": self.ranks,
            "hosts": sorted({writer.start.host for writer in self.writers}),
        }


def group_attempts(writers: Iterable[Writer]) -> list[Attempt]:
    """Writers to attempts, in order of number."""
    attempts: dict[int, list[Writer]] = defaultdict(list)
    launches: dict[int, Writer] = {}
    for writer in writers:
        if writer.rank < 0:
            launches[writer.start.attempt] = writer
        else:
            attempts[writer.start.attempt].append(writer)
    return [
        Attempt(
            number,
            tuple(sorted(attempts[number], key=lambda writer: (writer.rank, writer.second, writer.name))),
            launches.get(number),
        )
        for number in sorted(attempts)
    ]
