"""How this process ends: what rankzero hears of an exception, an exit code or a signal, without changing any of them."""

from __future__ import annotations

import atexit
import builtins
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FrameType, TracebackType
from typing import Any, NoReturn, Protocol

from rankzero.errors import guard
from rankzero.records import AT_EXIT
from rankzero.run import door
from rankzero.run.threads import in_main

INTERRUPTED = 128 + signal.SIGINT
FATAL_SIGNALS = {signal.SIGTERM: "preempted", signal.SIGHUP: "killed"}

MOST = 1000
"""Characters that are kept of an error's message."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The state and exit code of a process that is about to end."""

    state: str
    exit_code: int | None
    reason: str = ""


def ending_of(error: BaseException) -> Ending:
    """The ending of a process that this error ends."""
    if isinstance(error, SystemExit):
        code = exit_code(error.code)
        return Ending("failed" if code else "finished", code, "sys.exit")
    if isinstance(error, KeyboardInterrupt):
        return Ending("killed", INTERRUPTED, type(error).__name__)
    return Ending("failed", 1, type(error).__name__)


def exit_code(status: object) -> int:
    """The exit code of a process that calls sys.exit(status)."""
    return status if isinstance(status, int) else int(status is not None)


class Open(Protocol):
    """A run that wants to hear of the process's end."""

    def event(self, name: str, /, message: str = "", **data: Any) -> None:
        """Record something that happened."""

    def end(self, ending: Ending) -> None:
        """Write everything and close; returns within the finish timeout."""


def tell(run: Open, error: BaseException, trace: TracebackType | None) -> None:
    """Record the error that ends the process."""
    text = "".join(traceback.format_exception(type(error), error, trace))
    what = "signal" if isinstance(error, KeyboardInterrupt) else "exception"
    run.event(what, _shortened(str(error)), type=type(error).__name__, traceback=text[-20000:])


def _shortened(message: str) -> str:
    """Beginning and end of a long message: an error that quotes another's traceback says at its end what that one was."""
    return message if len(message) <= MOST else f"{message[: MOST // 2]}\n...\n{message[-MOST // 2 :]}"


class Exits:
    """Hooks on the ways out of this process, in place only while a run is open."""

    def __init__(self) -> None:
        self._runs: list[Open] = []
        self._pid = os.getpid()
        self._ending = Ending("finished", 0, AT_EXIT)
        self._previous: dict[tuple[Any, str], Any] = {}
        self._hooks: dict[tuple[Any, str], Any] = {
            (sys, "excepthook"): self._on_exception,
            (sys, "exit"): self._on_sys_exit,
            (builtins, "exit"): self._on_sys_exit,
            (builtins, "quit"): self._on_sys_exit,
            (os, "_exit"): self._on_os_exit,
        }
        self._handlers: dict[int, Any] = {}
        self._registered = False
        self._holds = 0
        self._waiting = 0

    def add(self, run: Open) -> None:
        """Tell `run` when the process ends."""
        if not self._registered:
            atexit.register(self._at_exit)
            os.register_at_fork(after_in_child=self.forget)
            self._registered = True
        if not self._runs:
            self._pid = os.getpid()
            self._install()
        self._runs.append(run)

    def __contains__(self, run: Open) -> bool:
        """Whether the run has not been closed yet."""
        return run in self._runs

    def remove(self, run: Open) -> None:
        """The run ended by itself."""
        if run in self._runs:
            self._runs.remove(run)
            if not self._runs:
                self._uninstall()

    def forget(self) -> None:
        """In a forked child: the runs are the parent's, and so are the signals it waits for."""
        self._runs = []
        self._pid = os.getpid()
        self._holds = self._waiting = 0
        self._uninstall()

    def hold(self) -> None:
        """Until `release` a fatal signal waits: the main thread, which would close the runs, is writing one itself."""
        self._holds += in_main()

    def release(self) -> None:
        """End a `hold`, and the process if a fatal signal arrived meanwhile."""
        if not in_main():
            return
        self._holds -= 1
        if self._waiting and not self._holds:
            signum, self._waiting = self._waiting, 0
            self.die(signum)

    def ours(self, signum: int) -> bool:
        """Whether a signal that arrives now is handled by rankzero, nobody else having asked for it."""
        return signum in self._handlers and signal.getsignal(signum) == self._on_signal

    def die(self, signum: int) -> None:
        """End this process by `signum` as if rankzero had never handled it; every run is closed first."""
        self._end_all(
            Ending(FATAL_SIGNALS.get(signal.Signals(signum), "killed"), 128 + signum, signal.Signals(signum).name)
        )
        _restore_default(signum)
        os.kill(os.getpid(), signum)

    def _install(self) -> None:
        self._ending = Ending("finished", 0, AT_EXIT)
        self._previous = {place: getattr(*place) for place in self._hooks if hasattr(*place)}
        for module, name in self._previous:
            setattr(module, name, self._hooks[module, name])
        if not in_main():
            return
        for signum in FATAL_SIGNALS:
            if signal.getsignal(signum) == signal.SIG_DFL:
                self._handlers[signum] = signal.signal(signum, self._on_signal)

    def _uninstall(self) -> None:
        for (module, name), former in self._previous.items():
            if getattr(module, name) == self._hooks[module, name]:
                setattr(module, name, former)
        if in_main():
            for signum, handler in self._handlers.items():
                if signal.getsignal(signum) == self._on_signal:
                    signal.signal(signum, handler)
            self._handlers = {}

    def _end_all(self, ending: Ending) -> None:
        for run in list(self._runs):
            with guard("closing the run"):
                run.end(ending)

    def _at_exit(self) -> None:
        if os.getpid() == self._pid:
            self._end_all(self._ending)
            door.close_all()

    def _heard(self, error: BaseException, trace: TracebackType | None) -> None:
        self._ending = ending_of(error)
        for run in self._runs:
            tell(run, error, trace)

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        with guard("recording an exception"):
            self._heard(error, trace)
        self._previous[sys, "excepthook"](kind, error, trace)

    def _on_sys_exit(self, status: Any = None, /) -> NoReturn:
        if in_main():
            with guard("recording the exit code"):
                code = exit_code(status)
                cause = sys.exc_info()[1]
                if code and cause is not None and not isinstance(cause, SystemExit):
                    self._heard(cause, cause.__traceback__)
                if code and cause is not None and self._ending.exit_code:
                    self._ending = replace(self._ending, exit_code=code)
                else:
                    self._ending = Ending("failed" if code else "finished", code, "sys.exit")
        raise SystemExit(status)

    def _on_os_exit(self, status: int) -> NoReturn:
        if self._runs and os.getpid() == self._pid:
            reason = "os._exit" if self._ending.reason == AT_EXIT else self._ending.reason
            self._end_all(Ending("failed" if status else "finished", status, reason))
        self._previous[os, "_exit"](status)
        raise AssertionError  # never reached: the process is gone

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        if self._holds:
            self._waiting = signum
        elif os.getpid() == self._pid:
            self.die(signum)


def _restore_default(signum: int) -> None:
    if in_main():
        signal.signal(signum, signal.SIG_DFL)
        return
    import ctypes

    ctypes.CDLL(None).signal(signum, 0)


Hook = Callable[..., Any]
exits = Exits()
