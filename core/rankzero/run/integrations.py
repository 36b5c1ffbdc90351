"""The integrations installed beside core, found by entry point; core itself knows no framework."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from rankzero.errors import MissingDependencyError, warn_once

if TYPE_CHECKING:
    from rankzero.run.run import Run

GROUP = "rankzero.integrations"


class Watcher(Protocol):
    """What `Run.watch` needs of an integration; `rankzero.plugin.Integration` is the whole contract."""

    name: str

    def watch(self, run: Run, obj: Any, **options: Any) -> bool:
        """Watch `obj` if it belongs to this framework; false if it does not."""
        ...

    def unwatch(self, run: Run, obj: Any) -> bool:
        """Stop watching `obj`, or everything if it is None; false if it does not belong to this framework."""
        ...


@cache
def _entry_points() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


@cache
def _load(name: str) -> Watcher | None:
    """An integration; None if it refuses to work with what is installed: another framework may be there only to use it."""
    from rankzero.run.requirements import complaint, least_of

    found = _entry_points()[name]
    why = complaint(name, least_of(found))
    try:
        loaded: Watcher = found.load()
    except MissingDependencyError as error:
        warn_once(f"{name} is too old", f"{error}; it is not watched")
        return None
    if why:
        warn_once(f"{name} is too old", f"{why}; what is recorded may be wrong")
    return loaded


def of_loaded_frameworks() -> list[Watcher]:
    """The integrations of the frameworks that this process has imported."""
    found = [_load(name) for name in _entry_points() if name in sys.modules]
    return [one for one in found if one is not None]
