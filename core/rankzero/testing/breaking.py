"""An integration whose every word to its run fails, to see that nobody else notices."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from rankzero.plugin import replace
from rankzero.run.run import Run

MESSAGE = "broken on purpose by the conformance tests"


def break_runs(packages: tuple[str, ...]) -> None:
    """From now on whatever these packages (import names) record fails; what others record does not."""

    def around(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if _caller().startswith(packages):
                raise RuntimeError(MESSAGE)
            return method(*args, **kwargs)

        return call

    for name in ("log", "event", "phase", "feed"):
        replace(Run, name, around)


def _caller() -> str:
    """The module that asked: the nearest one on the stack that is not core's; empty where core tells of trouble itself."""
    frame = sys._getframe(1)  # noqa: SLF001 - the way to look at the stack
    while frame.f_back is not None:
        name = str(frame.f_globals.get("__name__"))
        if name == "rankzero.errors" and frame.f_code.co_name == "report":
            return ""
        if name != "contextlib" and name.partition(".")[0] != "rankzero":
            return name
        frame = frame.f_back
    return ""
