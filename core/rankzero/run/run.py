"""One run as the user holds it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from rankzero import records
from rankzero.errors import guard, guarded, warn_once
from rankzero.run import integrations
from rankzero.run.config.hyperparameters import plain
from rankzero.run.config.mapping import Config, Summary
from rankzero.run.exits import Ending, ending_of, exits, tell
from rankzero.run.process import Process
from rankzero.run.recorder import Source
from rankzero.run.values.mixed import PLAIN, mixed
from rankzero.settings import Settings

if TYPE_CHECKING:
    from types import TracebackType

_is_plain = PLAIN.issuperset
_NOTHING: dict[str, Any] = {}
"""What a row for the job is on another rank: only its step counts, so that all ranks number their own rows alike."""


FINISHING = 0.8
"""The part of the finish timeout that a run has; the rest is for whoever is inside of a framework: see `rankzero.run.door`."""


class Run:
    """A job's record. Made by `rankzero.init`; every process of the job holds one, only rank zero's speaks for the job.

    Attributes:
        config: hyperparameters, a mapping whose changes are recorded.
        summary: single values; the last value of every metric unless set by hand.
        state: the word "running", or how the run ended; to be read only.
    """

    _watches = False

    def __init__(self, process: Process, settings: Settings) -> None:
        self.settings = settings
        self.config = Config(self._config_changed)
        self.summary = Summary(self._summary_changed, process.recorder.latest)
        self._process = process
        self._recorder = process.recorder
        self._queue = process.recorder.queue
        self._limit = settings.queue_limit
        self._silent = False
        self._deaf = False
        self.state = "running"
        self._meta: dict[str, Any] = {}
        self._finish_lock = threading.RLock()

    # -- logging ------------------------------------------------------------------------------------------------------

    def log(
        self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, ranks: str | None = None
    ) -> None:
        """Record values at a step; returns in about a microsecond and never raises on account of a value.

        Args:
            data: metric names to values: numbers, device tensors, nested dicts (flattened with "."), texts, `Image`,
                `Histogram`, arrays (kept as histograms). NaN and infinities are kept. A value of a type that cannot be
                kept costs one warning naming its key; the rest of the row is recorded.
            step: a whole number; without one the row gets the next step, which after a row with a step is that same step. Rows of
                one step merge when read; a step may repeat or go back, nothing is dropped.
            commit: False keeps the next step-less row on the same step, True with a step moves it on.
            ranks: "all" records this rank's own value in its own series. By default only rank zero records.
        """
        if self._silent:
            if self._deaf:
                return
            if ranks is None:
                data = _NOTHING
        now = monotonic()
        if type(data) is dict and _is_plain(map(type, data.values())):
            row = data.copy()
        else:
            prepared = mixed(data)
            if prepared is None:
                return
            row = prepared
        queue = self._queue
        queue.append((now, step, commit, ranks, row))
        if len(queue) > self._limit:
            self._recorder.relieve()
        elif self._recorder.journal is None:
            self._recorder.wake()

    def define_metric(
        self,
        name: str,
        step_metric: str | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | Sequence[str] | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,
    ) -> None:
        """Say how metrics are read.

        Args:
            name: a metric or a glob ("val/*").
            step_metric: the metric that is their x axis.
            step_sync: accepted for compatibility.
            hidden: leave them out of automatic charts.
            summary: which summaries to keep: min, max, mean, first, last, best, none; a list or "min,max".
            goal: "minimize" or "maximize": what best means.
            overwrite: accepted for compatibility.
        """
        wanted = [part.strip() for part in summary.split(",")] if isinstance(summary, str) else summary
        known = {"min", "max", "mean", "first", "last", "best", "none", "copy"}
        for unknown in set(wanted or ()) - known:
            warn_once(
                f"define {unknown}", f"define_metric(summary={unknown!r}) is not known; use {', '.join(sorted(known))}"
            )
        kept = [part for part in wanted if part in known] if wanted is not None else None
        self._put(records.Define(name=str(name), step_metric=step_metric, summary=kept, goal=goal, hidden=bool(hidden)))

    def event(self, name: str, /, message: str = "", **data: Any) -> None:
        """Record that something happened now, in this rank's own journal."""
        self._put(records.Event(t=self._recorder.micros(), event=str(name), message=str(message), data=plain(data)))

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Account the time inside to "evaluation" or "checkpoint" instead of to training steps; may nest."""
        outer = self._process.phase
        self._enter(name)
        try:
            yield
        finally:
            self._enter(outer)

    def alert(self, title: str, text: str = "", level: str = "INFO", wait_duration: float | None = None) -> None:
        """Record an alert; it is shown by `rankzero show`. `wait_duration` is accepted for compatibility."""
        self.event("alert", title, text=text, level=str(getattr(level, "value", level)))

    def mark_preempting(self) -> None:
        """Say that the scheduler is about to take the machine away: a later attempt of the job continues this run."""
        self.event("preempting")

    # -- models and files ---------------------------------------------------------------------------------------------

    @guarded("watching a model")
    def watch(
        self,
        models: Any,
        criterion: Any = None,
        log: str | None = "gradients",
        log_freq: int | None = None,
        **options: Any,
    ) -> None:
        """Record gradients and parameters of a model (or several) as the optimizer is about to use them.

        Args:
            models: a model of an installed framework, or a list of them.
            criterion: accepted for compatibility.
            log: "gradients", "parameters", "all" or None.
            log_freq: optimizer steps between samples; by default chosen so that they cost under 0.5 % of the step.
            **options: of the framework's integration, e.g. histograms=True.
        """
        self._watches = True
        for model in models if isinstance(models, list | tuple) else [models]:
            if not any(
                found.watch(self, model, log=log, log_freq=log_freq, **options)
                for found in integrations.of_loaded_frameworks()
            ):
                warn_once("watch", f"cannot watch a {type(model).__name__}: no installed integration knows it")

    @guarded("unwatching a model")
    def unwatch(self, models: Any = None) -> None:
        """Stop watching a model, several, or all."""
        for model in models if isinstance(models, list | tuple) else [models]:
            for found in integrations.of_loaded_frameworks():
                found.unwatch(self, model)

    @guarded("saving files")
    def save(self, glob_str: str | Path, base_path: str | Path | None = None, policy: str = "now") -> list[str]:
        """Copy the files that match into the run's `files/` folder, their place below `base_path` kept.

        They are copied now, whatever the `policy`, which is accepted for compatibility.
        """
        from rankzero.run import saving

        folder, saved = self._process.run_folder(), []
        if not self._silent:
            base = None if base_path is None else Path(base_path)
            for place, copy in saving.save_files(folder, str(glob_str), base):
                self._process.keep_file(place, copy)
                saved.append(str(copy))
        return saved

    @guarded("saving code")
    def log_code(self, root: str | Path = ".", include: Sequence[str] = ("*.py",)) -> None:
        """Copy the source files below `root` into the run's `code/` folder."""
        from rankzero.run import saving

        folder = self._process.run_folder()
        if not self._silent:
            saving.save_code(folder, Path(root), include)

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The run's id, the same in every process of the job. Asking for it decides who this process is."""
        return self._process.claim().run

    @property
    def name(self) -> str:
        """The run's name."""
        return self._meta.get("name") or self._process.default_name()

    @name.setter
    def name(self, value: str) -> None:
        self.describe(name=value)

    @property
    def project(self) -> str:
        """The project the run belongs to."""
        return self._process.wish.project

    @property
    def group(self) -> str:
        """The group the run belongs to, or an empty text."""
        return self._meta.get("group") or ""

    @property
    def job_type(self) -> str:
        """What the job does, or an empty text."""
        return self._meta.get("job_type") or ""

    @property
    def tags(self) -> tuple[str, ...]:
        """The run's tags."""
        return tuple(self._meta.get("tags") or ())

    @tags.setter
    def tags(self, value: Sequence[str]) -> None:
        self.describe(tags=list(value))

    @property
    def notes(self) -> str:
        """A free text kept with the run."""
        return self._meta.get("notes") or ""

    @notes.setter
    def notes(self, value: str) -> None:
        self.describe(notes=value)

    @property
    def dir(self) -> Path:
        """The run's folder."""
        return self._process.run_folder().path

    @property
    def url(self) -> str:
        """Where the run can be looked at: its folder."""
        return self.dir.as_uri()

    @property
    def step(self) -> int:
        """The step that the next row without a step will get. Asking for it decides who this process is."""
        return self._recorder.next_step()

    @property
    def rank(self) -> int:
        """This process's rank in the job."""
        return self._process.ranks().rank

    @property
    def resumed(self) -> bool:
        """Whether this run existed before this attempt."""
        return self._process.claim().resumed

    @property
    def disabled(self) -> bool:
        """Whether the run accepts every call and does nothing."""
        return False

    def recorded_before(self, keys: Collection[str], step: int) -> dict[str, float]:
        """See `rankzero.plugin.recorded_before`."""
        return self._process.recorded_before(keys, step)

    def describe(self, **fields: Any) -> None:
        """Set name, group, job_type, tags, notes or user; None leaves one as it is."""
        given = {key: value for key, value in fields.items() if value is not None}
        self._meta.update(given)
        if given:
            self._put(records.Meta(**given))

    def capture(self, what: str, outcome: str, by: str, why: str = "", count: int = 0) -> None:
        """Record one line of the capture report; see `rankzero.plugin.report`. The last rows of a run that ends may bring one."""
        if not self._deaf:
            self._recorder.put(records.Capture(what=what, outcome=outcome, by=by, why=why, count=count))

    # -- the end ------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write everything logged so far to the journal."""
        self._recorder.flush(force=True)

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run: everything logged is written. Waits two seconds at most. `quiet` is accepted for compatibility."""
        code = exit_code or 0
        self._close(Ending("failed" if code else "finished", code))

    def _close(self, ending: Ending) -> None:
        self.end(ending)
        if self._watches:  # what it did not leave to others, others may record
            self._watches = False
            self.unwatch()

    def end(self, ending: Ending) -> None:
        """End the run in a given way; the first call wins, later ones wait for it."""
        with self._finish_lock:
            if self.state == "running":
                self.state = ending.state
            elif self not in exits:
                return
        with guard("finishing the run"):
            self._process.finish(ending, time.monotonic() + FINISHING * self.settings.finish_timeout)
        exits.remove(self)
        self.log = self._too_late  # type: ignore[method-assign]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, SystemExit):
            tell(self, error, trace)
        self._close(Ending("finished", 0) if error is None else ending_of(error))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """What travels to another process becomes its own current run there, or one that records nothing."""
        from rankzero.run.init import elsewhere

        return elsewhere, (self.settings,)

    def __repr__(self) -> str:
        return f"<Run {self.project}/{self.name} {self.state}>"

    def adopt(self, run_id: str) -> bool:
        """Be the run of this id, which a checkpoint has named, while nothing but config was recorded; whether it is now.

        Without an id it is a new run after all: what the checkpoint named when the run was made is not gone on with.
        """
        return not (run_id and self.settings.run_id) and self._process.adopt(run_id)

    def feed(self, source: Source) -> None:
        """See `rankzero.plugin.feed`."""
        self._recorder.sources.append(source)

    def become_silent(self) -> None:
        """This process is not rank zero: what it logs for the job is not recorded."""
        self._silent = True

    def become_nobody(self) -> None:
        """This process is a forked child: it records nothing at all."""
        self._silent = self._deaf = True
        self._finish_lock = threading.RLock()
        self.state = "forked"
        self._process.become_nobody()
        self._queue = self._recorder.queue

    def _enter(self, phase: str) -> None:
        self._process.phase = phase
        self._put(records.Phase(t=self._recorder.micros(), phase=phase))

    def _put(self, record: records.Record) -> None:
        if not self._deaf and self.state == "running":
            self._recorder.put(record)

    def _config_changed(self, values: dict[str, Any], source: str, removed: list[str]) -> None:
        self._put(records.Config(values=values, source=source, removed=removed))

    def _summary_changed(self, values: dict[str, Any], removed: list[str]) -> None:
        self._put(records.Summary(values=values, removed=removed))

    def _too_late(self, data: Any, step: Any = None, commit: Any = None, ranks: Any = None) -> None:
        warn_once(
            f"late {id(self)}",
            f"log() after finish() of run {self.name!r} records nothing; call rankzero.init() for a new run",
        )
