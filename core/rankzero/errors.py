"""Every error rankzero raises, and the one guard that keeps the rest out of user code.

RankZeroError
├── UsageError          the caller asked for something that cannot be done; the sentence says what to do
│   ├── UnknownRunError     no such run, project or attempt
│   └── UnknownKeyError     no such metric
├── SettingError        a RANKZERO_* variable or an init() argument has a value that cannot be used
├── ResumeError         resume="must" found no run, resume="never" found one
└── MissingDependencyError   an optional package is needed; the sentence holds the pip command
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class RankZeroError(Exception):
    """Base of every error raised by rankzero."""


class UsageError(RankZeroError):
    """The caller asked for something that cannot be done; the message says what to do instead."""


class UnknownRunError(UsageError):
    """No run, project or attempt of that name exists under this root."""


class UnknownKeyError(UsageError):
    """The run has no metric of that name."""


class SettingError(RankZeroError):
    """A RANKZERO_* variable or an argument of init() holds a value that cannot be used."""


class ResumeError(RankZeroError):
    """`resume="must"` found no such run, or `resume="never"` found one."""


class MissingDependencyError(RankZeroError):
    """An optional package is needed; the message holds the pip command."""


_listeners: list[Callable[[str, str], None]] = []
_warned: set[str] = set()


def on_trouble(listener: Callable[[str, str], None]) -> None:
    """Call `listener(where, traceback)` for every error the guard keeps out of user code."""
    _listeners.append(listener)


def strict() -> bool:
    """Whether the guard re-raises: true under test (RANKZERO_STRICT=1)."""
    return os.environ.get("RANKZERO_STRICT", "") not in {"", "0"}


@contextlib.contextmanager
def guard(where: str) -> Iterator[None]:
    """Keep an error of rankzero's own out of the user's program.

    Args:
        where: what rankzero was doing, in words, for the one warning printed per place.

    The first error in a place prints one line to stderr; every error's traceback goes to the listeners (an open run
    writes it into its own journal). Under test (RANKZERO_STRICT=1) the error is raised instead. `KeyboardInterrupt`
    and `SystemExit` are the user's and always pass.
    """
    try:
        yield
    except Exception:
        if strict():
            raise
        report(where)


def report(where: str) -> None:
    """Report the exception being handled as trouble of rankzero's own; see `guard`."""
    trace = traceback.format_exc()
    for listener in tuple(_listeners):
        listener(where, trace)
    last = trace.strip().rsplit("\n", 1)[-1]
    warn_once(where, f"{where} failed and was skipped; training goes on ({last})")


def warn_once(key: str, sentence: str) -> None:
    """Print `rankzero: sentence` to stderr the first time `key` is seen in this process."""
    if key in _warned:
        return
    _warned.add(key)
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # a closed stream
            sys.stderr.write(f"rankzero: {sentence}\n")


def guarded(where: str) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
    """Decorate a hook so that an error inside returns None to the framework instead of raising; see `guard`."""

    def decorate(function: Callable[P, T]) -> Callable[P, T | None]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T | None:
            try:
                return function(*args, **kwargs)
            except Exception:
                if strict():
                    raise
                report(where)
                return None

        return call

    return decorate
