"""The kinds of record a journal holds besides rows and beats. Times `t` are microseconds since the journal's start."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec


class _Record(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """Base of every record: frozen, tagged by `kind`, defaults left out of the line."""


class Start(_Record, frozen=True, tag="start", kw_only=True):
    """First line of every journal: who writes, on what, since when.

    `wall` is the wall clock in seconds since the epoch at t = 0, `clock` the monotonic clock of the machine start `boot` (which
    places attempts on one machine however its wall clock was set); every other time is monotonic. `job` is the job key by
    which the processes of one job agree on the run, `launch` the token of the `rankzero run` above, empty if none.
    """

    format: int = 1
    run: str
    project: str
    attempt: int
    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    node: int = 0
    nodes: int = 1
    launcher: str = "alone"
    job: str = ""
    launch: str = ""
    wall: float
    host: str = ""
    pid: int = 0
    pid_started: float = 0.0
    boot: str = ""
    clock: float = 0.0
    version: str = ""


class Meta(_Record, frozen=True, tag="meta", kw_only=True):
    """What the run is called and belongs to. A later record replaces the fields it carries (not None)."""

    name: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: list[str] | None = None
    notes: str | None = None
    user: str | None = None
    devices: int | None = None
    device_kind: str | None = None


class Config(_Record, frozen=True, tag="config", kw_only=True):
    """Hyperparameters to merge into the run's config: nested, JSON values only. `source` says who gave them."""

    values: dict[str, Any]
    source: str = "user"
    removed: list[str] = []


class Summary(_Record, frozen=True, tag="summary", kw_only=True):
    """Values to merge into the run's summary; they win over what is computed from the series."""

    values: dict[str, Any]
    removed: list[str] = []


class Define(_Record, frozen=True, tag="define", kw_only=True):
    """How metrics matching the glob `name` are read: their x axis and their summaries (min, max, mean, first, last, best)."""

    name: str
    step_metric: str | None = None
    summary: list[str] | None = None
    goal: str | None = None
    hidden: bool = False


class Columns(_Record, frozen=True, tag="columns", kw_only=True):
    """Names the values of the rows that carry this id.

    `local`: they are this rank's own, else they stand for the job. `aside`: an integration counts their steps; what the program
    itself logs under the same name in the same attempt, if it does, stands in their place.
    """

    id: int
    keys: list[str]
    local: bool = False
    aside: bool = False


class Text(_Record, frozen=True, tag="text", kw_only=True):
    """A logged text."""

    t: int
    step: int
    key: str
    value: str
    local: bool = False


class Histogram(_Record, frozen=True, tag="histogram", kw_only=True):
    """A distribution: `counts[i]` values in [edges[i], edges[i+1]), the last bin closed. `sampled`: of a strided sample."""

    t: int
    step: int
    key: str
    edges: list[float]
    counts: list[float]
    sampled: bool = False
    nonfinite: int = 0
    local: bool = False


class Media(_Record, frozen=True, tag="media", kw_only=True):
    """A logged file: `path` is relative to the run's folder, `type` is image or file, `info` its dimensions or caption."""

    t: int
    step: int
    key: str
    type: str
    path: str
    sha256: str
    size: int
    caption: str = ""
    index: int = 0
    info: dict[str, Any] = {}
    local: bool = False


class Event(_Record, frozen=True, tag="event", kw_only=True):
    """Something that happened: exception, signal, warning, alert, stall, preempting, incomplete, second-rank-zero."""

    t: int
    event: str
    message: str = ""
    data: dict[str, Any] = {}


class Phase(_Record, frozen=True, tag="phase", kw_only=True):
    """From `t` on the process is in `phase`: step, evaluation, checkpoint (an empty name ends the current one)."""

    t: int
    phase: str


class Environment(_Record, frozen=True, tag="environment", kw_only=True):
    """Where the job runs: command line, git, packages, host, devices; each key a fact."""

    values: dict[str, Any]


class Capture(_Record, frozen=True, tag="capture", kw_only=True):
    """One line of the capture report: `what` was "recorded", "seen" or "off" by the integration `by`, and why."""

    what: str
    outcome: str
    by: str
    why: str = ""
    count: int = 0


AT_EXIT = "exit"
"""The reason of an end that came with the process's own, of which nothing was heard before."""

UNFORESEEN = "the command's end, seen by rankzero run, is not the one that its process foresaw"
"""The reason of an end that stands for rank zero's own."""


class End(_Record, frozen=True, tag="end", kw_only=True):
    """Last line of a journal that was closed: finished, failed, preempted or killed, with the process's exit code."""

    t: int
    state: str
    exit_code: int | None = None
    reason: str = ""


Record: TypeAlias = (
    Start
    | Meta
    | Config
    | Summary
    | Define
    | Columns
    | Text
    | Histogram
    | Media
    | Event
    | Phase
    | Environment
    | Capture
    | End
)
