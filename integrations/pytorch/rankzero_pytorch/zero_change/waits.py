"""Time spent waiting for other ranks in collectives that the program, or what it uses, calls itself."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from rankzero_pytorch.internals import compiling
from rankzero_pytorch.zero_change.clock import Clock


def around_wait(clock: Clock) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For functions that return when other ranks have come as far."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def wait(*args: Any, **kwargs: Any) -> Any:
            if compiling():
                return original(*args, **kwargs)
            began = perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                if not clock.away and not clock.in_backward:
                    clock.waited += perf_counter() - began

        return wait

    return around
