"""What a run leaves in the interpreter: nothing when disabled, nothing when finished."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import timeit
from typing import Any

import pytest
from tests.waiting import until

import rankzero
from rankzero.errors import ResumeError
from rankzero.run.threads import running


def test_disabled_costs_nothing(root: Any) -> None:
    """No file, no thread, no hook; every call is accepted, config and summary work, given names are there."""
    hooks = (
        sys.excepthook,
        sys.exit,
        os._exit,
        signal.getsignal(signal.SIGTERM),
        sys.stdout.write,
    )
    threads = _thread._count()
    run = root.init(
        mode="disabled", name="n", group="g", tags=["t"], job_type="j", notes="o", project="p", config={"lr": 1}
    )
    run.log({"x": object()}, step="nonsense", commit=True, ranks="all")
    rankzero.log({"x": 1})
    run.define_metric("x", summary="min")
    run.event("x")
    run.alert("x")
    run.mark_preempting()
    run.watch(object())
    run.unwatch()
    assert run.save("*.py") == []
    run.log_code()
    with run.phase("evaluation"):
        run.flush()
    run.summary["best"] = 1
    run.name, run.tags, run.notes = "n", ["t"], "o"
    assert (run.name, run.group, run.tags, run.job_type, run.notes, run.project) == ("n", "g", ("t",), "j", "o", "p")
    assert (run.config["lr"], run.summary["best"], run.step, run.rank, run.resumed, run.disabled) == (
        1,
        1,
        0,
        0,
        False,
        True,
    )
    assert isinstance(run.id, str)
    assert isinstance(run.url, str)
    assert repr(run)
    now = (
        sys.excepthook,
        sys.exit,
        os._exit,
        signal.getsignal(signal.SIGTERM),
        sys.stdout.write,
    )
    assert now == hooks
    assert _thread._count() <= threads  # those of earlier tests may end meanwhile
    with run:
        pass
    run.log({"late": 1})
    assert not root.path.exists()
    assert rankzero.run is None


def test_a_run_leaves_no_hook_behind(root: Any) -> None:
    """After finish() the interpreter is as it was: hooks, handlers, streams, and soon threads (finish() does not wait for git)."""

    def state() -> tuple[Any, ...]:
        handlers = [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
        return sys.excepthook, sys.exit, os._exit, handlers, sys.stdout.write, sys.stderr.write

    before = state()
    run = root.init(settings={"console": True})
    run.log({"x": 1})
    run.finish()
    assert state() == before
    until("the end of the threads", lambda: not running())


def test_modes_by_variable(root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """RANKZERO_MODE, RANKZERO_RESUME and RANKZERO_REINIT have the effect of the arguments."""
    monkeypatch.setenv("RANKZERO_MODE", "disabled")
    with root.init() as run:
        assert run.disabled
    with root.init(mode="on") as run:
        assert not run.disabled
    monkeypatch.setenv("RANKZERO_MODE", "offline")
    monkeypatch.setenv("RANKZERO_RESUME", "must")
    with pytest.raises(ResumeError):
        root.init(id="nowhere")
    monkeypatch.setenv("RANKZERO_RESUME", "allow")
    monkeypatch.setenv("RANKZERO_REINIT", "create_new")
    first, second = root.init(), root.init()
    assert (first.state, second.state) == ("running", "running")
    first.finish()
    second.finish()


def test_a_disabled_log_is_an_empty_call(root: Any) -> None:
    """It looks at nothing that it is given: some tens of nanoseconds."""
    run = root.init(mode="disabled")
    row = {"x": 1.0}
    best = min(timeit.repeat(lambda: run.log(row), number=10_000, repeat=20)) / 10_000
    assert best < 2e-6
