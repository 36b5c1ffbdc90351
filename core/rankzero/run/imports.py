"""Something to do right after a module has been imported, if ever it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from rankzero.errors import guarded

Hook = Callable[[ModuleType], None]


class _Finder:
    """Finds nothing itself: has the loader that the other finders find call the hook after it."""

    def __init__(self) -> None:
        self.hooks: dict[str, list[Hook]] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if name not in self.hooks:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                self._call_after(spec.loader, name)
                return spec
        return None

    def _call_after(self, loader: Any, name: str) -> None:
        execute = getattr(loader, "exec_module", None)
        if execute is None or isinstance(loader, type):
            return

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for hook in self.hooks.pop(name, ()):
                hook(module)

        loader.exec_module = exec_module


_finder = _Finder()


def after_import(name: str, hook: Hook) -> None:
    """Call `hook(module)` once the module `name` is there: now, or right after its import."""
    careful = guarded(f"adding to {name}")(hook)
    module = sys.modules.get(name)
    if module is not None:
        careful(module)
        return
    _finder.hooks.setdefault(name, []).append(careful)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
