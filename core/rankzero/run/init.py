"""init(): make this process's run, and know the current one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import rankzero.ranks
from rankzero import errors, settings
from rankzero.run import loading
from rankzero.run.disabled import DisabledRun
from rankzero.run.exits import exits
from rankzero.run.identity import Wish
from rankzero.run.process import Process
from rankzero.run.run import Run
from rankzero.run.signals import SignalWatch
from rankzero.store import check_name


class _Current:
    """The runs of this process."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.open: list[Run] = []
        self.ordinal = 0
        self.signals: SignalWatch | None = None
        self.prepared = self.hold = False

    def prepare(self) -> None:
        """Once per process, at the first run: nothing of rankzero is in place before."""
        if not self.prepared:
            loading.install()
            os.register_at_fork(after_in_child=self.forked)
            errors.on_trouble(self.trouble)
            self.prepared = True
        if self.signals is None:
            self.signals = SignalWatch()
            self.signals.install()

    def forked(self) -> None:
        """A forked child holds none of its parent's runs and none of its listeners."""
        for run in self.open:
            if run.state == "running":
                run.become_nobody()
        self.open = []
        self.ordinal = 0
        if self.signals is not None:
            self.signals.remove()
            self.signals = None

    def trouble(self, where: str, trace: str) -> None:
        """Write an error of rankzero's own into the open runs' own log."""
        for run in self.open:
            if run.state == "running":
                run.event("warning", f"{where} failed and was skipped", traceback=trace)


_current = _Current()


class Changes:
    """How often it has changed whose run it is or who records what: as long as this is the same, nothing need be asked again."""

    def __init__(self) -> None:
        self.count = 0


changes = Changes()
"""Of this process."""


def current() -> Run | None:
    """The run that `rankzero.log` and its like use: the last one made and not finished, if any."""
    run = _current.run
    return run if run is not None and run.state in {"running", "disabled", "forked"} else None


@contextlib.contextmanager
def holding() -> Iterator[None]:
    """A run made inside is decided by its first row: until then `Run.adopt` may say which run it is."""
    _current.hold = True
    try:
        yield
    finally:
        _current.hold = False


def elsewhere(chosen: settings.Settings) -> Run:
    """What a run of another process is in this one."""
    return current() or DisabledRun(chosen)


def init(
    project: str | None = None,
    name: str | None = None,
    config: Any = None,
    dir: str | Path | None = None,  # noqa: A002 - the name users know
    id: str | None = None,  # noqa: A002 - the name users know
    resume: str | bool | None = None,
    mode: str | None = None,
    tags: Sequence[str] | None = None,
    group: str | None = None,
    job_type: str | None = None,
    notes: str | None = None,
    reinit: str | bool | None = None,
    settings: Mapping[str, Any] | None = None,
    **ignored: Any,
) -> Run:
    """Start recording this process's part of the job; every process of a job may call it, they share one run.

    Args:
        project: a folder of runs; "default" when neither given nor set.
        name: how people call the run.
        config: hyperparameters: a dict, dataclass, pydantic or attrs object, OmegaConf, argparse namespace, absl flags, or
            the path of a YAML or JSON file.
        dir: the root folder of all runs; ./.rankzero when neither given nor set.
        id: the run's id; a run of that id is continued as its next attempt.
        resume: "allow" (default) continues the run of that id if there is one, "must" refuses to make a new one, "never"
            refuses to continue one, "auto" continues the newest run of the project that did not finish.
        mode: "on", or "disabled": every call is accepted and does nothing.
        tags: words to find the run by.
        group: what the run belongs to, a sweep or an experiment of several jobs.
        job_type: "train", "eval", ...
        notes: a free text.
        reinit: what to do about a run that is still open: "finish_previous" (default), "return_previous" or "create_new".
        settings: any setting by name; see `rankzero settings`.
        **ignored: arguments that other trackers know; each is named once in a warning.

    Raises:
        SettingError: an argument or a RANKZERO_* variable has a value that cannot be used.
        UsageError: the project or id cannot be a folder's name.
        ResumeError: `resume="must"` and there is no such run, or `resume="never"` and there is one.
    """
    for unknown in ignored:
        errors.warn_once(f"init {unknown}", f"init({unknown}=...) is not known and was ignored")
    chosen = _settings(settings).with_overrides(
        project=project, name=name, dir=dir, run_id=id, resume=_word(resume, true="auto", false="never"), mode=mode, tags=tags,
        group=group, job_type=job_type, notes=notes, reinit=_word(reinit, true="finish_previous", false="return_previous"),
    )  # fmt: skip
    if chosen.strict:
        os.environ.setdefault("RANKZERO_STRICT", "1")
    run = previous = current()
    if previous is not None and previous.state == "running" and chosen.reinit == "finish_previous":
        previous.finish()
    if run is None or run.state != "running" or chosen.reinit != "return_previous":
        run = _current.run = DisabledRun(chosen) if chosen.mode == "disabled" else _open(chosen)
        changes.count += 1
    run.config.update(config)
    return run


def _open(chosen: settings.Settings) -> Run:
    check_name("project", chosen.project)
    if chosen.run_id:
        check_name("run id", chosen.run_id)
    _current.prepare()
    wish = Wish(
        root=chosen.root,
        project=chosen.project,
        run=chosen.run_id,
        resume=chosen.resume,
        ordinal=_current.ordinal,
        launch=chosen.launch,
        started=rankzero.ranks.process_started(os.getpid()) or time.time(),
        hold=_current.hold,
    )
    _current.ordinal += 1
    signals = _current.signals
    if signals is None:
        raise AssertionError("prepare() makes it")

    def silence() -> None:
        run.become_silent()

    process = Process(wish, chosen, signals, silence=silence)
    run = Run(process, chosen)
    run.describe(
        name=chosen.name or None, group=chosen.group or None, job_type=chosen.job_type or None, tags=list(chosen.tags) or None,
        notes=chosen.notes or None, user=settings.user_name(chosen),
    )  # fmt: skip
    ranks = rankzero.ranks.current()
    if chosen.resume in {"must", "never"} or (ranks.certain and ranks.launcher != "alone" and not wish.hold):
        process.claim()
    _current.open = [run_ for run_ in _current.open if run_.state == "running"] + [run]
    exits.add(run)
    process.start()
    return run


def _settings(given: Mapping[str, Any] | None) -> settings.Settings:
    return settings.read().with_overrides(**dict(given or {}))


def _word(given: str | bool | None, *, true: str, false: str) -> str | None:
    """A word as given, or the one that True or False stands for."""
    if isinstance(given, bool):
        return true if given else false
    return given
