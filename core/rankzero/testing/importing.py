"""Imports an integration beside its framework and tells what that did; standard library alone, see `child`."""

from __future__ import annotations

import _thread
import importlib
import signal
import sys
import threading
from pathlib import Path
from typing import Any


def load(frameworks: list[str], package: str) -> dict[str, Any]:
    """What the import of `package` changed in a process that has imported its frameworks."""
    for framework in frameworks:
        importlib.import_module(framework)
    before, loaded = _state(), _tops()
    importlib.import_module(package)
    after = _state()
    return {"changed": [name for name in before if before[name] != after[name]], "loaded": sorted(_tops() - loaded)}


def _tops() -> set[str]:
    return {name.partition(".")[0] for name in list(sys.modules)} - set(sys.stdlib_module_names)


def _state() -> dict[str, Any]:
    return {
        "threads": _thread._count(),  # noqa: SLF001 - threading does not list them all
        "hooks": [sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook],
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "streams": [sys.stdin, sys.stdout, sys.stderr],
        "files": sorted(str(path) for path in Path().iterdir() if not path.name.startswith("outcomes-")),
    }
