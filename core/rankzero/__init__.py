"""rankzero: experiment tracking for machine learning, local-first.

    import rankzero

    run = rankzero.init(project="digits", config={"lr": 1e-3})
    for step in range(100):
        run.log({"loss": 1 / (step + 1)})
    run.finish()

One job is one run: every process may call the same lines, only rank zero records for the job. Importing this package changes
nothing and loads almost nothing.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

from rankzero.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rankzero.errors import RankZeroError
    from rankzero.run.config.mapping import Config, Summary
    from rankzero.run.init import init
    from rankzero.run.run import Run
    from rankzero.run.values.media import File, Histogram, Image, Text
    from rankzero.settings import Settings

    config: Config
    summary: Summary

__all__ = [
    "File",
    "Histogram",
    "Image",
    "RankZeroError",
    "Run",
    "Settings",
    "Text",
    "__version__",
    "alert",
    "config",
    "define_metric",
    "finish",
    "init",
    "log",
    "mark_preempting",
    "run",
    "save",
    "summary",
    "unwatch",
    "watch",
]

_HOMES = {
    "File": "rankzero.run.values.media",
    "Histogram": "rankzero.run.values.media",
    "Image": "rankzero.run.values.media",
    "RankZeroError": "rankzero.errors",
    "Run": "rankzero.run.run",
    "Settings": "rankzero.settings",
    "Text": "rankzero.run.values.media",
    "init": "rankzero.run.init",
}


def _current() -> Run:
    found = _current_or_none()
    if found is None:
        from rankzero.errors import UsageError

        raise UsageError("there is no run yet: call rankzero.init() first")
    return found


def _current_or_none() -> Run | None:
    module = sys.modules.get("rankzero.run.init")
    return module.current() if module is not None else None


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, ranks: str | None = None) -> None:
    """Record values in the current run; see `Run.log`."""
    _current().log(data, step, commit, ranks)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the current run, if there is one; see `Run.finish`."""
    found = _current_or_none()
    if found is not None:
        found.finish(exit_code, quiet)


def define_metric(name: str, *args: Any, **kwargs: Any) -> None:
    """Say how metrics of the current run are read; see `Run.define_metric`."""
    _current().define_metric(name, *args, **kwargs)


def watch(models: Any, *args: Any, **kwargs: Any) -> None:
    """Record gradients and parameters of a model in the current run; see `Run.watch`."""
    _current().watch(models, *args, **kwargs)


def unwatch(models: Any = None) -> None:
    """Stop watching; see `Run.unwatch`."""
    _current().unwatch(models)


def alert(title: str, text: str = "", level: str = "INFO") -> None:
    """Record an alert in the current run; see `Run.alert`."""
    _current().alert(title, text, level)


def save(glob_str: str, base_path: str | None = None, policy: str = "now") -> list[str] | None:
    """Copy files into the current run; see `Run.save`."""
    return _current().save(glob_str, base_path, policy)


def mark_preempting() -> None:
    """Say that the machine is about to be taken away; see `Run.mark_preempting`."""
    _current().mark_preempting()


class _FrontDoor(types.ModuleType):
    """The module itself: `rankzero.run`, `.config` and `.summary` are those of the current run."""

    @property
    def run(self) -> Run | None:
        """The current run, or None."""
        return _current_or_none()

    @run.setter
    def run(self, module: types.ModuleType) -> None:
        """The import system puts the room `rankzero.run` here; it stays reachable by import."""

    @property
    def config(self) -> Any:
        """The current run's config."""
        return _current().config

    @property
    def summary(self) -> Any:
        """The current run's summary."""
        return _current().summary

    def __getattr__(self, name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'rankzero' has no attribute {name!r}")
        value = getattr(importlib.import_module(home), name)
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        return sorted(__all__)


sys.modules[__name__].__class__ = _FrontDoor
