"""Every setting and its environment variable: one documented row each, read in this file and nowhere else."""

from __future__ import annotations

import contextlib
import getpass
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any

from rankzero.errors import SettingError

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def _text(raw: str) -> str:
    return raw


def _flag(raw: str) -> bool:
    value = raw.strip().lower()
    if value in _TRUE | _FALSE:
        return value in _TRUE
    raise ValueError("write on or off")


def _seconds(raw: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= (value := float(raw)) < math.inf:
            return value
    raise ValueError("write a number of seconds, zero or more")


def _count(raw: str) -> int:
    with contextlib.suppress(ValueError):
        if (value := int(raw)) >= 0:
            return value
    raise ValueError("write a whole number, zero or more")


def _words(raw: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in raw.split(",") if word.strip())


def _choice(*names: str, also: Mapping[str, str] | None = None) -> Callable[[str], str]:
    synonyms = dict(also or {})

    def parse(raw: str) -> str:
        value = synonyms.get(raw.strip().lower(), raw.strip().lower())
        if value not in names:
            raise ValueError(f"write one of {', '.join(names)}")
        return value

    return parse


MODES = _choice("on", "disabled", also={"online": "on", "offline": "on", "off": "disabled"})
RESUMES = _choice("allow", "never", "must", "auto")
REINITS = _choice("finish_previous", "return_previous", "create_new", also={"default": "finish_previous"})


def _row(default: Any, env: str, parse: Callable[[str], Any], meaning: str) -> Any:
    """One setting: its default, its variable, how the variable's text is read, and what it means."""
    return dataclass_field(default=default, metadata={"env": env, "parse": parse, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one process; see `rankzero settings` for the table with what is in force."""

    dir: str = _row("", "RANKZERO_DIR", _text, "the root folder of all runs; ./.rankzero when empty")
    project: str = _row("default", "RANKZERO_PROJECT", _text, "the project of runs that name none")
    mode: str = _row("on", "RANKZERO_MODE", MODES, "on, or disabled: every call is accepted and does nothing")
    run_id: str = _row("", "RANKZERO_RUN_ID", _text, "the run's id; continues that run if it exists")
    name: str = _row("", "RANKZERO_NAME", _text, "the run's name; made from the script's name when empty")
    group: str = _row("", "RANKZERO_GROUP", _text, "the group the run belongs to")
    job_type: str = _row("", "RANKZERO_JOB_TYPE", _text, "what the job does: train, eval, ...")
    tags: tuple[str, ...] = _row((), "RANKZERO_TAGS", _words, "tags, separated by commas")
    notes: str = _row("", "RANKZERO_NOTES", _text, "a free text kept with the run")
    user: str = _row("", "RANKZERO_USER", _text, "who runs the job; the login name when empty")
    resume: str = _row("allow", "RANKZERO_RESUME", RESUMES, "allow, never, must or auto: what an existing run means")
    reinit: str = _row(
        "finish_previous",
        "RANKZERO_REINIT",
        REINITS,
        "what a second init() does: finish_previous, return_previous, create_new",
    )
    console: bool = _row(True, "RANKZERO_CONSOLE", _flag, "keep what each rank prints")
    code: bool = _row(
        True, "RANKZERO_CODE", _flag, "keep the git commit, the uncommitted diff and untracked text files"
    )
    packages: bool = _row(True, "RANKZERO_PACKAGES", _flag, "keep the list of installed packages")
    system_interval: float = _row(10.0, "RANKZERO_SYSTEM_INTERVAL", _seconds, "seconds between system samples; 0: none")
    flush_interval: float = _row(0.1, "RANKZERO_FLUSH_INTERVAL", _seconds, "seconds between two writes of the journal")
    heartbeat_interval: float = _row(1.0, "RANKZERO_HEARTBEAT_INTERVAL", _seconds, "seconds between two heartbeats")
    stall_after: float = _row(
        300.0,
        "RANKZERO_STALL_AFTER",
        _seconds,
        "seconds without a step after which every rank's stacks are kept; 0: never",
    )
    finish_timeout: float = _row(2.0, "RANKZERO_FINISH_TIMEOUT", _seconds, "seconds that finish() may wait at most")
    queue_limit: int = _row(100_000, "RANKZERO_QUEUE_LIMIT", _count, "rows held before log() writes them itself")
    gradients: str = _row(
        "norm",
        "RANKZERO_GRADIENTS",
        _choice("off", "norm", "params", "hist"),
        "zero-change gradients: off, norm (global), params (each parameter too), hist (and histograms)",
    )
    log_every: int = _row(
        0,
        "RANKZERO_LOG_EVERY",
        _count,
        "optimizer steps between gradient samples; 0: chosen so that they cost under 0.5 %",
    )
    log_model: str = _row(
        "off",
        "RANKZERO_LOG_MODEL",
        _choice("off", "end", "checkpoint", also={"false": "off", "0": "off", "true": "end", "1": "end"}),
        "what is kept with the run of a transformers Trainer's model: off (paths), end, checkpoint (each)",
    )
    prices: str = _row("", "RANKZERO_PRICES", _text, "a TOML file of prices per device-hour")
    budget_hours: float = _row(
        0.0,
        "RANKZERO_BUDGET_HOURS",
        _seconds,
        "`rankzero usage` says when a project's device-hours (process-hours on CPU) pass this; 0: never",
    )
    launch: str = _row("", "RANKZERO_LAUNCH", _text, "set by `rankzero run`: the token its processes share")
    activate: str = _row(
        "",
        "RANKZERO_ACTIVATE",
        _text,
        "set by `rankzero run`: frameworks, their integrations and the oldest release of each, torch=rankzero_pytorch:integration@2.9",
    )
    strict: bool = _row(False, "RANKZERO_STRICT", _flag, "raise rankzero's own errors instead of warning; for tests")
    quiet: bool = _row(False, "RANKZERO_QUIET", _flag, "print nothing but warnings")

    @property
    def root(self) -> Path:
        """The root folder of all runs, absolute."""
        return Path(self.dir or ".rankzero").absolute()

    def with_overrides(self, **given: Any) -> Settings:
        """These settings with the given ones replaced; values that are None are left alone.

        Raises:
            SettingError: for a name that is no setting or a value that cannot be used.
        """
        changed: dict[str, Any] = {}
        for name, value in given.items():
            if value is None:
                continue
            changed[name] = _checked(name, value)
        return replace(self, **changed)


def table() -> list[tuple[str, str, Any, str]]:
    """The rows `(name, environment variable, default, meaning)` of every setting, in order."""
    return [(f.name, f.metadata["env"], f.default, f.metadata["meaning"]) for f in fields(Settings)]


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Read every setting from the environment.

    Raises:
        SettingError: naming the variable, its value and what to write instead.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, Any] = {}
    for row in fields(Settings):
        raw = environ.get(row.metadata["env"])
        if raw is not None:
            given[row.name] = _parsed(row.metadata["env"], raw, row.metadata["parse"])
    return Settings(**given)


def user_name(settings: Settings) -> str:
    """Who runs this job: the setting, else the login name, else "unknown"."""
    if settings.user:
        return settings.user
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _parsed(label: str, raw: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(raw)
    except ValueError as error:
        raise SettingError(f"{label}={raw!r} cannot be used: {error}") from None


def _checked(name: str, value: Any) -> Any:
    row = next((f for f in fields(Settings) if f.name == name), None)
    if row is None:
        known = ", ".join(f.name for f in fields(Settings))
        raise SettingError(f"there is no setting {name!r}; the settings are {known}")
    if isinstance(row.default, bool) and isinstance(value, bool):
        return value
    if isinstance(row.default, tuple) and not isinstance(value, str):
        return tuple(str(word) for word in value)
    return _parsed(name, str(value), row.metadata["parse"])
