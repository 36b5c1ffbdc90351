"""What there is to read about this process: its environment, its loaded modules, its place among other processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

_LONGEST = 12


def count(word: str) -> int | None:
    """A plain number, or None for anything else (`abc`, `-1`, empty)."""
    return int(word) if len(word) <= _LONGEST and word.isascii() and word.isdigit() else None


class Evidence(NamedTuple):
    """The environment and the loaded modules (`sys.modules`) of this process."""

    environ: Mapping[str, str]
    modules: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A variable without surrounding blanks; empty if it is not set."""
        return self.environ.get(name, "").strip()

    def number(self, *names: str) -> int | None:
        """The first of these variables that is set, as a count; None if it is no plain number."""
        return next((count(word) for name in names if (word := self.text(name))), None)

    def has(self, *names: str) -> bool:
        """Whether any of these variables is set to something."""
        return any(self.text(name) for name in names)

    @property
    def is_child(self) -> bool:
        """Whether `multiprocessing` started this process: it inherited its environment, a process group may yet come."""
        return self._python_parent() is not None

    @property
    def has_children(self) -> bool:
        """Whether this process started others by `multiprocessing` that it waits for (data workers are daemons)."""
        children = getattr(self.modules.get("multiprocessing.process"), "_children", ())
        return any(not child.daemon for child in list(children))

    @property
    def origin(self) -> int:
        """The process that the launcher started: this one, or the one that started it by `multiprocessing`."""
        parent = self._python_parent()
        return os.getpid() if parent is None else parent

    def _python_parent(self) -> int | None:
        parent_process = getattr(self.modules.get("multiprocessing.process"), "parent_process", None)
        parent = parent_process() if parent_process is not None else None
        return None if parent is None else int(parent.pid)
