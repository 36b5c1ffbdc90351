"""What a run leaves in the interpreter: nothing when disabled, nothing when finished."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import rankzero


def test_disabled_costs_nothing(root: Any) -> None:
    """No file, no thread, no hook; every call is accepted, config and summary work, given names are there."""
    hooks = (
        sys.excepthook,
        sys.exit,
        os._exit,
        signal.getsignal(signal.SIGTERM),
        sys.stdout.write,
        threading.active_count(),
    )
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
        threading.active_count(),
    )
    assert now == hooks
    with run:
        pass
    run.log({"late": 1})
    assert not root.path.exists()
    assert rankzero.run is None


def test_a_run_leaves_no_hook_behind(root: Any) -> None:
    """After finish() the interpreter is as it was: hooks, handlers, streams, threads."""

    def state() -> tuple[Any, ...]:
        handlers = [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
        threads = {thread.name for thread in threading.enumerate() if thread.name.startswith("rankzero")}
        return sys.excepthook, sys.exit, os._exit, handlers, sys.stdout.write, sys.stderr.write, threads

    before = state()
    run = root.init(settings={"console": True})
    run.log({"x": 1})
    run.finish()
    assert state() == before
