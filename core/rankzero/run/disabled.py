"""A run that accepts every call and does nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rankzero.run.config.mapping import Config, Summary
from rankzero.run.exits import Ending
from rankzero.run.run import Run
from rankzero.settings import Settings


class DisabledRun(Run):
    """What init() returns in mode "disabled": no file, no thread, no hook."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.config = Config(lambda *_: None)
        self.summary = Summary(lambda *_: None, dict)
        kept = ("name", "group", "job_type", "tags", "notes")
        self._meta: dict[str, Any] = {name: getattr(settings, name) for name in kept}
        self.state = "disabled"

    def log(self, data: Any, step: int | None = None, commit: bool | None = None, ranks: str | None = None) -> None:
        """Do nothing."""

    def event(self, name: str, /, message: str = "", **data: Any) -> None:
        """Do nothing."""

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Do nothing."""
        yield

    def watch(
        self, models: Any, criterion: Any = None, log: str | None = None, log_freq: int | None = None, **options: Any
    ) -> None:
        """Do nothing."""

    def unwatch(self, models: Any = None) -> None:
        """Do nothing."""

    def save(self, glob_str: str | Path, base_path: str | Path | None = None, policy: str = "now") -> list[str]:
        """Do nothing."""
        return []

    def log_code(self, root: str | Path = ".", include: Any = ()) -> None:
        """Do nothing."""

    def capture(self, what: str, outcome: str, by: str, why: str = "", count: int = 0) -> None:
        """Do nothing."""

    def recorded_before(self, keys: Collection[str], step: int) -> dict[str, float]:
        """Nothing."""
        return {}

    def adopt(self, run_id: str) -> bool:
        """Do nothing."""
        return False

    def flush(self) -> None:
        """Do nothing."""

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """Do nothing but refuse to be the current run any longer."""
        self.state = "finished"

    def end(self, ending: Ending) -> None:
        """The same."""
        self.state = "finished"

    def define_metric(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""

    def _put(self, record: Any) -> None:
        """Do nothing."""

    @property
    def id(self) -> str:
        """A fixed id that no recorded run has."""
        return self.settings.run_id or "disabled"

    @property
    def name(self) -> str:
        """The name asked for."""
        return self._meta["name"] or "disabled"

    @name.setter
    def name(self, value: str) -> None:
        self._meta["name"] = value

    @property
    def project(self) -> str:
        """The project asked for."""
        return self.settings.project

    @property
    def dir(self) -> Path:
        """Where runs would lie."""
        return self.settings.root

    @property
    def step(self) -> int:
        """Always zero."""
        return 0

    @property
    def rank(self) -> int:
        """Always zero."""
        return 0

    @property
    def resumed(self) -> bool:
        """Never."""
        return False

    @property
    def disabled(self) -> bool:
        """Always."""
        return True
