"""Calls a function of a file, as one process of a job, and leaves what it returned in a file.

    python child.py '{"file": ..., "function": ..., "arguments": [...], "otherwise": {RANK: [...]}, "into": FOLDER,
        "look_at": [...], "breaks": [...]}'

Run by its path and with nothing but the standard library: a function that never mentions rankzero is in a process that has not
loaded it. Arguments are JSON; a mapping arrives as an object with attributes.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any


def ours_in(frameworks: list[str]) -> list[str]:
    """The functions and methods of the loaded modules of these packages in whose place stands one of rankzero's."""
    found = set()
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in frameworks:
            continue
        for attribute, value in list(vars(module).items()):
            if _is_ours(value):
                found.add(f"{name}.{attribute}")
            if isinstance(value, type) and getattr(value, "__module__", None) == name:
                found |= {f"{name}.{attribute}.{one}" for one, method in list(vars(value).items()) if _is_ours(method)}
    return sorted(found)


def _is_ours(value: Any) -> bool:
    function = getattr(value, "__func__", value) if isinstance(value, classmethod | staticmethod) else value
    return isinstance(function, FunctionType) and str(function.__globals__.get("__name__")).startswith("rankzero")


def state(frameworks: list[str]) -> dict[str, Any]:
    """What there is of rankzero in this process."""
    ours = sys.modules.get("rankzero.run.threads")
    return {
        "threads": ours.running() if ours is not None else [],
        "replaced": ours_in(frameworks),
        "loaded": sorted({name.partition(".")[0] for name in list(sys.modules)} - set(sys.stdlib_module_names)),
    }


def main() -> None:
    """Do what the command line says."""
    asked = json.loads(sys.argv[1], object_hook=lambda found: SimpleNamespace(**found))
    file = Path(asked.file)
    sys.path[0] = str(file.parent)
    if asked.breaks:
        importlib.import_module("rankzero.testing.breaking").break_runs(tuple(asked.breaks))
    function = getattr(importlib.import_module(file.stem), asked.function)
    rank = os.environ.get("RANK", "0")
    result = function(*getattr(asked.otherwise, rank, asked.arguments))
    told = {"result": result, **state(asked.look_at)}
    name = f"{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}-{rank}.json"
    Path(asked.into, name).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
