"""One run, read back: the union of the journals of all its attempts and writers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeVar

from rankzero import usage
from rankzero.query import ledger
from rankzero.query.attempts import Attempt, group_attempts
from rankzero.query.failure import Failure, first_failure
from rankzero.query.media import media
from rankzero.query.ranks import RankView, Slowest, rank_views, slowest
from rankzero.query.series import Metric, Part, Series, index, metric, series
from rankzero.query.summary import definition, summarise, x_axis
from rankzero.query.writer import Writer, read_writer
from rankzero.records import Capture, Config, Define, Environment, Event, Meta, Summary, Text
from rankzero.store import RunFolder

R = TypeVar("R")

TEXT_LIMIT = 1000
"""Longest text that a run's summary holds."""


class RunView:
    """A run as its journals tell it, read once; open it again to see more of a run that goes on.

    What needs the metrics (series, metrics, ranks, usage, summary) reads the journals whole when first asked for.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._whole = False
        self._writers: list[Writer] | None = None

    # -- what was read ------------------------------------------------------------------------------------------------

    @property
    def writers(self) -> list[Writer]:
        """All writers, in order of attempt and name."""
        if self._writers is None:
            self._writers = self._read(whole=False)
        return self._writers

    def load(self) -> RunView:
        """Read everything now."""
        if not self._whole:
            self._writers = self._read(whole=True)
            self._whole = True
            self.__dict__.pop("attempts", None)
        return self

    @cached_property
    def attempts(self) -> list[Attempt]:
        """The run's attempts, in order; one at least."""
        return group_attempts(self.writers)

    @property
    def last_attempt(self) -> Attempt:
        """The attempt that says how the run stands."""
        return self.attempts[-1]

    def of(self, kind: type[R]) -> Iterator[R]:
        """All records of one kind: attempts in order, in each of them rank zero's last, so that it has the last word."""
        for attempt in self.attempts:
            for writer in reversed(attempt.writers):
                yield from writer.of(kind)

    @cached_property
    def files(self) -> list[dict[str, Any]]:
        """Everything in the run's folder: its path there and its size in bytes."""
        found = sorted(path for path in self.folder.path.rglob("*") if path.is_file())
        return [{"path": path.relative_to(self.folder.path).as_posix(), "size": path.stat().st_size} for path in found]

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The run's id."""
        return self.folder.run

    @property
    def project(self) -> str:
        """The project it belongs to."""
        return self.folder.project

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Name, group, job_type, tags, notes, user, as far as they were given."""
        merged: dict[str, Any] = {}
        for record in self.of(Meta):
            given = {name: getattr(record, name) for name in ("name", "group", "job_type", "tags", "notes", "user")}
            merged.update((name, value) for name, value in given.items() if value is not None)
        return merged

    @property
    def name(self) -> str:
        """The run's name, its id if it has none."""
        return self.meta.get("name") or self.id

    @cached_property
    def config(self) -> dict[str, Any]:
        """All hyperparameters, merged in the order in which they were given."""
        merged: dict[str, Any] = {}
        for record in self.of(Config):
            merged.update(record.values)
            for key in record.removed:
                merged.pop(key, None)
        return merged

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Facts about where the job runs; the latest attempt's win."""
        merged: dict[str, Any] = {}
        for record in self.of(Environment):
            merged.update(record.values)
        return merged

    @property
    def state(self) -> str:
        """One of running, finished, failed, preempted, killed, crashed."""
        return self.last_attempt.state

    @property
    def exit_code(self) -> int | None:
        """The job's exit code, None while it runs or where nothing is known of it."""
        return self.last_attempt.exit_code

    @property
    def created(self) -> float:
        """When its first attempt started, in seconds since the epoch."""
        return self.attempts[0].started

    @property
    def ended(self) -> float | None:
        """When its last attempt ended, in seconds since the epoch; None while it runs."""
        return self.last_attempt.ended

    @property
    def first_failure(self) -> Failure | None:
        """Which rank failed first and how, None if the last attempt did not fail."""
        return first_failure(self.last_attempt)

    @cached_property
    def warnings(self) -> list[str]:
        """What is odd about this run, one sentence each."""
        named = {"warning", "incomplete", "second-rank-zero", "stall", "alert"}
        found = [f"{event.event}: {event.message}" for event in self.of(Event) if event.event in named]
        return list(dict.fromkeys([*found, *(self.usage.warnings if self._whole else ())]))

    @cached_property
    def capture(self) -> list[Capture]:
        """The capture report of the last attempt that has one: one line about each thing by each integration."""
        for attempt in reversed(self.attempts):
            lines: dict[tuple[str, str], Capture] = {}
            for line in (line for writer in attempt.writers for line in writer.of(Capture)):
                known = lines.get((line.what, line.by))
                if known is None or (line.outcome == "recorded" and known.outcome != "recorded"):
                    lines[line.what, line.by] = line
            if lines:
                return list(lines.values())
        return []

    # -- what it measured ---------------------------------------------------------------------------------------------

    @cached_property
    def media(self) -> dict[str, dict[str, Any]]:
        """What was logged besides numbers: per key its kind (text, histogram, image, file), how often, and the last step."""
        return media(self.load().writers)

    @cached_property
    def parts(self) -> dict[str, list[Part]]:
        """Where each metric is found."""
        return index(self.load().writers)

    @property
    def keys(self) -> list[str]:
        """The metrics of this run, in the order in which they were first logged."""
        return list(self.parts)

    def series(self, key: str, *, superseded: bool = False) -> Series:
        """The points of one metric; those that a later attempt logged again only if `superseded`.

        Raises:
            KeyError: the run has no such metric.
        """
        return series(key, self.parts[key], superseded=superseded)

    def axis(self, found: Series) -> tuple[str, Any] | None:
        """The x axis defined for a metric: its key and its value at each of the points, None if it is the step."""
        key = self.define(found.key).step_metric
        return (key, x_axis(found, self.series(key))) if key in self.parts and key else None

    def define(self, key: str) -> Define:
        """How a metric is to be read."""
        return definition(self._defines, key)

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """Statistics of every metric."""
        found = {key: metric(parts) for key, parts in self.parts.items()}
        return {key: each for key, each in found.items() if each is not None}

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The run's single values: those set by hand, else every global metric's as defined, its last by default."""
        self.load()
        values: dict[str, Any] = {text.key: text.value for text in self.of(Text) if len(text.value) <= TEXT_LIMIT}
        for key, each in self.metrics.items():
            define = self.define(key)
            if each.scope == "global" or define.summary:
                values[key] = summarise(each, define)
        values = {key: value for key, value in values.items() if value is not None}
        return {**values, **self.own_summary}

    @cached_property
    def own_summary(self) -> dict[str, Any]:
        """The summary values that were set by hand."""
        merged: dict[str, Any] = {}
        for record in self.of(Summary):
            merged.update(record.values)
            for key in record.removed:
                merged.pop(key, None)
        return merged

    @cached_property
    def ranks(self) -> list[RankView]:
        """The ranks of the last attempt."""
        parts = self.parts
        return rank_views(self.last_attempt.writers, parts)

    @property
    def slowest(self) -> Slowest | None:
        """The rank that the others wait for, None if none is clearly slower."""
        return slowest(self.ranks)

    @cached_property
    def timeline(self) -> usage.Timeline:
        """The run's attempts with every moment in its phase."""
        return usage.timeline(ledger.ledger(self.load().attempts))

    @cached_property
    def usage(self) -> usage.Usage:
        """The run's hours and goodput."""
        return self.timeline.total()

    # -- inside -------------------------------------------------------------------------------------------------------

    @cached_property
    def _defines(self) -> list[Define]:
        return list(self.of(Define))

    def _read(self, *, whole: bool) -> list[Writer]:
        found = (read_writer(path, whole=whole) for path in self.folder.journals())
        return [writer for writer in found if writer is not None]
