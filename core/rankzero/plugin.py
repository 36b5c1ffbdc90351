"""The whole contract of an integration, in one file.

An integration lives in its own distribution or folder, imports its framework, `rankzero` and this module, and nothing else of
ours. It subclasses `Integration`, makes one instance, and names it in the entry point group `rankzero.integrations` under its
framework's import name:

    [project.entry-points."rankzero.integrations"]
    torch = "rankzero_pytorch:integration"

Two ways lead to it. **By hand**: the user calls `run.watch(model)` or uses the framework's own idiom (a logger, a callback)
that the integration offers; everything is recorded with `run.log`. **With no change**: in a process started by `rankzero run`,
right after the framework was imported, `activate()` is called once and puts hooks in place; the first time there is something
to record, `training_run()` makes the run.

What an integration promises to the user's program: no collective, no host synchronisation in the step's thread, no error (wrap
every hook in `guarded`), nothing recorded twice (ask `claim` before recording a quantity; where a more specific integration
drives the loop it claims "loop", for as long as it drives, and the more general one stands down altogether), and a line in the capture report for what it saw (`report`).
Names and units of what is recorded are the same in every framework: see docs/metrics.md.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Collection, Iterator
from typing import Any, Protocol, runtime_checkable

from rankzero import settings
from rankzero.errors import MissingDependencyError, guard, guarded, warn_once
from rankzero.ranks import PART
from rankzero.run.config.hyperparameters import plain
from rankzero.run.exits import exits
from rankzero.run.facts.secrets import scrub
from rankzero.run.imports import after_import
from rankzero.run.init import changes, holding, init
from rankzero.run.init import current as current_run
from rankzero.run.patching import replace, restore
from rankzero.run.recorder import Source
from rankzero.run.rows import ASIDE
from rankzero.run.run import Run
from rankzero.run.values.media import Histogram
from rankzero.settings import read as read_settings

__all__ = [
    "Deferred",
    "Histogram",
    "Integration",
    "MissingDependencyError",
    "Run",
    "after_import",
    "changes",
    "claim",
    "current_run",
    "feed",
    "guard",
    "guarded",
    "holding",
    "log_aside",
    "offer_config",
    "open_run",
    "opened_here",
    "part",
    "plain",
    "read_settings",
    "recorded_before",
    "release",
    "replace",
    "report",
    "require",
    "restore",
    "started_by_run",
    "training_failed",
    "training_run",
    "warn_once",
]


@runtime_checkable
class Deferred(Protocol):
    """A value that is still being computed or copied; logged like any other.

    The writer thread asks `ready()` a few times a second and then calls `value()`. A dict as value stands for its items: one
    fused device vector can become many metrics.
    """

    def ready(self) -> bool:
        """Whether `value()` returns without waiting."""
        ...

    def value(self) -> Any:
        """The value, or a dict of names to values."""


class Integration:
    """One framework. Attributes: `name` of the integration, `framework` (import name), `extra` of rankzero that installs it."""

    name: str = ""
    framework: str = ""
    extra: str = ""

    def activate(self) -> None:
        """Put hooks in place for a program that never mentions rankzero. Called once, right after the framework's import."""

    def watch(self, run: Run, obj: Any, **options: Any) -> bool:
        """Record gradients and parameters of `obj`; false if it does not belong to this framework."""
        return False

    def unwatch(self, run: Run, obj: Any) -> bool:
        """Stop watching `obj`, or everything if None; false if it does not belong to this framework."""
        return False


class _Capture:
    """What the integrations of this process share: who records what, and what they have to say about it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.owners: dict[str, tuple[int, str]] = {}
        self.heard: set[tuple[str, str, str, str]] = set()  # what the described run was told
        self.waiting: dict[tuple[str, str, str, str], None] = {}  # what the next one will be
        self.offered: dict[str, dict[str, Any]] = {}
        self.run: Run | None = None
        self.described: Run | None = None

    def describe(self, run: Run) -> None:
        """Tell a run that has not heard it yet what was found before it was there."""
        if self.described is run:
            return
        lines, self.waiting = self.waiting, {}
        self.described, self.heard = run, set(lines)
        for source, values in self.offered.items():
            run.config.update(values, source=source)
        for line in lines:
            run.capture(*line)


_capture = _Capture()


def started_by_run() -> bool:
    """Whether this process was started below `rankzero run`."""
    return bool(settings.read().launch)


def training_run(by: str, *, run_id: str = "", fresh: bool = False) -> Run | None:
    """The run that an integration records to without being asked: the current one, or a new one if below `rankzero run`.

    Args:
        by: the integration's name.
        run_id: of the run that this training continues, as a checkpoint told; the run that is made is its next attempt.
        fresh: another training begins: the run that was made without being asked for the last one is over.

    Returns:
        The run, or None where the user neither made one nor started the job with `rankzero run`, and while another integration
        has claimed "loop".
    """
    driver = _capture.owners.get("loop")
    if driver is not None and driver[1] != by:
        return None
    run = current_run()
    if run is None or (fresh and run is _capture.run):
        if not started_by_run() or (_capture.run is not None and not fresh):
            return run
        with _capture.lock:
            if run is not None:
                run.finish()
            run = current_run() or init(id=run_id or None)
            _capture.run = run
    if run is not _capture.described:
        _capture.describe(run)
    return run


def open_run(by: str, **given: Any) -> Run:
    """A new run, for a training that begins now: the user made none for it, but asked to record it, or is below `rankzero run`.

    The last run that an integration made ends; one that the user made stays open beside it.

    Args:
        by: the integration's name.
        **given: for `rankzero.init`: id (of the run that a checkpoint belongs to), name, group, project, ...; what the user
            has set in the environment stands before it.
    """
    chosen, default = settings.read(), settings.Settings()
    fields = {"id": "run_id"}
    kept = {
        key: value
        for key, value in given.items()
        if value and getattr(chosen, fields.get(key, key), None) == getattr(default, fields.get(key, key), None)
    }
    last = current_run()
    run = init(**kept, reinit="finish_previous" if last is None or opened_here(last) else "create_new")
    _capture.run = run
    _capture.describe(run)
    return run


def opened_here(run: Run) -> bool:
    """Whether an integration made this run, and not the user."""
    return run is _capture.run


def training_failed(run: Run, error: BaseException) -> None:
    """Put down that a training ended with an error: the program may catch it, and end well."""
    run.event("training-failed", f"{type(error).__name__}: {error}"[:1000], rank=run.rank)


@contextlib.contextmanager
def part(name: str) -> Iterator[None]:
    """Processes that `multiprocessing` starts inside work on a part of the program's work, which is a run of its own.

    Without it those that a program starts later look like a restart of those before, and go on in their run.

    Args:
        name: of the part, the same whenever the program runs; empty for the first.
    """
    before = os.environ.get(PART)
    os.environ[PART] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[PART]
        else:
            os.environ[PART] = before


def log_aside(run: Run, row: dict[str, Any], step: int, ranks: str | None = None) -> None:
    """Log a row at a step that an integration counts.

    The rows that the user logs without a step keep their own numbers, and what the user logs under one of these names stands in
    the place of what is logged here.
    """
    run.log(row, step=step, commit=ASIDE, ranks=ranks)


def feed(run: Run, source: Source) -> None:
    """Have the run's writer thread ask for rows, a few times a second and at the end.

    What a step costs its own thread is then no more than putting down what it has, with `deque.append`.

    Args:
        run: that has just been made or met; it asks as long as it is open.
        source: gives what there is by now and has not been given, in the order of steps: `time.monotonic()` of the row, its step,
            "all" for a series of this rank's own (else None), and the values. Rows that the user logs without a step keep their
            own numbers. It is called by one thread at a time.
    """
    run.feed(source)


def recorded_before(run: Run, keys: Collection[str], step: int) -> dict[str, float]:
    """The last values of the job's metrics that earlier attempts of a run recorded at this step or before: what counts up goes on there.

    Empty where there are none, and where they lie too far back in a long journal to be found quickly. Asking decides who this
    process is.
    """
    return run.recorded_before(keys, step)


def require(*frameworks: str, distribution: str = "rankzero") -> None:
    """Be sure that what an integration builds on is installed, in a release that is supported.

    Args:
        *frameworks: names as pip knows them; imported under the same ones, with underscores for dashes.
        distribution: whose extras declare the supported releases: that of the integration.

    Raises:
        MissingDependencyError: one is not, in a sentence with the pip command.
    """
    from rankzero.run import requirements

    requirements.require(*frameworks, distribution=distribution)


def offer_config(values: dict[str, Any], source: str, *, another: bool = False) -> None:
    """Hyperparameters found before there is a run (a parsed command line); they go into its config when it is made.

    A later offer of the same source replaces the former for the runs made after it; with `another` they are those of another
    job in this process (of a sweep), and the run that was made without being asked for the last one is over.
    What looks like a password, a token or a key is scrubbed: the user did not choose to record it.
    """
    if another and _capture.run is not None and _capture.run is current_run():
        _capture.run.finish()
        _capture.run = None
    values = scrub(plain(values))
    _capture.offered[source] = values
    if _capture.described is not None and _capture.described is current_run():
        _capture.described.config.update(values, source=source)


def claim(quantity: str, by: str, precedence: int) -> bool:
    """Whether `by` is to record `quantity`: true while nobody more specific (of higher precedence) has claimed it.

    Args:
        quantity: a name as in docs/metrics.md, "loss" or "grad/norm"; or "loop", everything that a training loop shows.
        by: the integration's name.
        precedence: 0 for a bare array library, 10 for a framework's own loop, 20 for what drives it, 30 for what drives that.
    """
    owner = _capture.owners.get(quantity)
    if owner is not None and owner[1] != by and owner[0] >= precedence:
        return False
    if owner is None or owner[1] != by:
        _capture.owners[quantity] = (precedence, by)
        changes.count += 1
    return True


def release(quantity: str, by: str) -> None:
    """Give up a claim, if `by` has it: whoever asks next may record the quantity."""
    owner = _capture.owners.get(quantity)
    if owner is not None and owner[1] == by:
        del _capture.owners[quantity]
        changes.count += 1


def report(what: str, outcome: str, by: str, why: str = "") -> None:
    """Add a line to the capture report of the run that is recorded, once however often it is called.

    Every run hears for itself what is true of it; what is said before there is one waits for it.

    Args:
        what: the quantity or thing.
        outcome: "recorded", "seen" (but not recorded) or "off".
        by: the integration's name.
        why: for what was not recorded, one sentence.
    """
    line = (what, outcome, by, why)
    run = _capture.described
    if run is None or not _listens(run):
        _capture.waiting[line] = None
    elif line not in _capture.heard:
        _capture.heard.add(line)
        run.capture(*line)


def _listens(run: Run) -> bool:
    """Whether this is the run that is recorded. One that ends is nobody's current run while its last rows are made."""
    return run is current_run() or (current_run() is None and (run.state == "running" or run in exits))
