"""Waiting for what processes and threads do in their own time."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds: long enough for a busy machine, as nobody waits longer than is needed."""


def until(what: str, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until something is so; `what` names it for the day when it does not become so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.02)
