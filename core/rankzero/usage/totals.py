"""What usage comes to, and its sums."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from rankzero.usage.goodput import PHASES

K = TypeVar("K", bound=Hashable)


def _no_time() -> dict[str, float]:
    return dict.fromkeys(PHASES, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The usage of a run, an attempt, a day or any group of them; everything is in seconds unless it says otherwise.

    Attributes:
        wall_s: the time in which at least one attempt of the run was alive.
        device_s: alive time of each attempt times its devices.
        process_s: alive time of each attempt times its processes.
        per_process_s: what a tracker with one run per process would have counted.
        phases: `wall_s` by phase, every phase of `PHASES` named.
        device_phases: `device_s` by phase.
        process_phases: `process_s` by phase.
        device_kinds: `device_s` by kind of device.
        cpu_process_s: the part of `process_s` that belongs to attempts without devices.
        energy_j: joules that the devices reported.
        warnings: what is odd about the ledger, one sentence each.
    """

    wall_s: float = 0.0
    device_s: float = 0.0
    process_s: float = 0.0
    per_process_s: float = 0.0
    phases: Mapping[str, float] = field(default_factory=_no_time)
    device_phases: Mapping[str, float] = field(default_factory=_no_time)
    process_phases: Mapping[str, float] = field(default_factory=_no_time)
    device_kinds: Mapping[str, float] = field(default_factory=dict)
    cpu_process_s: float = 0.0
    energy_j: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def tracked_s(self) -> float:
        """Tracked time: the wall time of the job, however many processes it has."""
        return self.wall_s

    def to_json(self) -> dict[str, Any]:
        """The same as a plain dictionary, `tracked_s` included."""
        return {"wall_s": self.wall_s, "tracked_s": self.tracked_s, **asdict(self), "warnings": list(self.warnings)}


def total(usages: Iterable[Usage]) -> Usage:
    """The sum of several usages, each warning once."""
    parts = list(usages)
    return Usage(
        wall_s=sum(part.wall_s for part in parts),
        device_s=sum(part.device_s for part in parts),
        process_s=sum(part.process_s for part in parts),
        per_process_s=sum(part.per_process_s for part in parts),
        phases=_added([_no_time(), *(part.phases for part in parts)]),
        device_phases=_added([_no_time(), *(part.device_phases for part in parts)]),
        process_phases=_added([_no_time(), *(part.process_phases for part in parts)]),
        device_kinds=_added(part.device_kinds for part in parts),
        cpu_process_s=sum(part.cpu_process_s for part in parts),
        energy_j=sum(part.energy_j for part in parts),
        warnings=tuple(dict.fromkeys(warning for part in parts for warning in part.warnings)),
    )


def grouped(usages: Iterable[tuple[K, Usage]]) -> dict[K, Usage]:
    """The totals by key (a project, a user, a run, a day, or several of them in a tuple), in order of first appearance."""
    groups: dict[K, list[Usage]] = {}
    for key, usage in usages:
        groups.setdefault(key, []).append(usage)
    return {key: total(group) for key, group in groups.items()}


def _added(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for part in parts:
        for key, seconds in part.items():
            sums[key] = sums.get(key, 0.0) + seconds
    return sums
