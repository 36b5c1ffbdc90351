"""Steps, threads, the full queue, and what is read back in the loop."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from rankzero import records
from rankzero.query import open_run


def test_steps_are_kept_as_given(root: Any) -> None:
    """Repeated, backward, negative and huge steps are all there, in the order of the calls."""
    run = root.init()
    steps = [5, 5, 3, -1, 0, 2**40, 7]
    for step in steps:
        run.log({"x": 1.0}, step=step)
    run.finish()
    assert root.only.steps == steps


@pytest.mark.parametrize(
    ("step", "kept", "warned"),
    [(3.0, 3, False), (3.7, 3, True), ("9", 9, True), ("nine", 0, True), (math.nan, 0, True), (math.inf, 0, True), (2**80, 0, True), ([], 0, True)],
)  # fmt: skip
def test_a_step_that_is_no_whole_number(
    root: Any, capsys: pytest.CaptureFixture[str], step: Any, kept: int, warned: bool
) -> None:
    """It is made one with a warning, or the next step is used; the row is kept."""
    with root.init() as run:
        run.log({"x": 1.0}, step=step)
    assert root.only.rows == [(kept, {"x": 1.0})]
    assert ("step=" in capsys.readouterr().err) is warned


def test_numpy_and_torch_steps(root: Any) -> None:
    """A step that is a number of an array library is that number."""
    np, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
    run = root.init()
    for step in (np.int64(4), torch.tensor(6), True):
        run.log({"x": 1.0}, step=step)
    run.finish()
    assert root.only.steps == [4, 6, 1]


def test_commit_gathers_rows_on_one_step(root: Any) -> None:
    """commit=False leaves the next row on the same step; a step-less row after a given step is on that step."""
    run = root.init()
    run.log({"a": 1}, commit=False)
    run.log({"b": 2})
    run.log({"c": 3})
    run.log({"d": 4}, step=10)
    run.log({"e": 5})
    run.log({"f": 6}, step=20, commit=True)
    run.log({"g": 7})
    run.finish()
    assert root.only.steps == [0, 0, 1, 10, 10, 20, 21]


def test_step_is_the_next_rows(root: Any) -> None:
    """run.step, right after init and at any time, is the step that the next row will get."""
    run = root.init()
    for expected in range(5):
        assert run.step == expected
        run.log({"x": run.step})
    run.finish()
    assert root.only.curve("x") == [(step, step) for step in range(5)]


def test_two_threads_lose_nothing(root: Any) -> None:
    """Two threads log 100,000 rows each: all are there, each thread's in its order, each on a step of its own."""
    run = root.init()
    count = 100_000

    def work(name: str) -> None:
        for index in range(count):
            run.log({name: index})

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    journal = root.only
    assert sorted(journal.steps) == list(range(2 * count))
    for name in "ab":
        assert [value for _, value in journal.curve(name)] == list(range(count))


@pytest.mark.parametrize("limit", [0, 1, 100])
def test_a_full_queue_is_written_by_log_itself(root: Any, limit: int) -> None:
    """With room for few rows and a slow writer nothing is dropped and nothing comes out of order."""
    run = root.init(settings={"queue_limit": limit, "flush_interval": 5.0})
    for index in range(20_000):
        run.log({"x": index})
    assert len(run._queue) <= limit + 1
    run.finish()
    assert root.only.curve("x") == [(index, index) for index in range(20_000)]


def test_the_summary_reads_back(root: Any) -> None:
    """The last value of each metric, late ones included; what is set by hand wins; both survive the end of the run."""
    run = root.init()
    for step in range(10):
        run.log({"loss": 10.0 - step, "acc": step})
    run.log({"loss": 0.5}, step=3)
    run.summary["best"] = float("nan")
    run.summary["acc"] = 99
    run.summary.update({"nested": {"a": 1}}, more=2)
    assert (run.summary["loss"], run.summary.acc, run.summary["more"]) == (0.5, 99, 2)
    run.finish()
    assert run.summary["loss"] == 0.5
    assert {"loss", "acc", "best", "more"} <= set(run.summary)
    read = open_run(root.folders[0]).summary
    assert (read["loss"], read["acc"], read["more"], read["nested"]) == (9.0 - 8.0, 99, 2, {"a": 1})


def test_define_metric_is_kept(root: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Axis, summaries and goal are recorded; an unknown summary is named and left out."""
    run = root.init()
    run.define_metric("val/*", step_metric="epoch", summary="min, last,median", goal="minimize")
    run.log({"val/loss": 2.0, "epoch": 1})
    run.log({"val/loss": 1.0, "epoch": 2})
    run.log({"val/loss": 3.0, "epoch": 3})
    run.finish()
    define = root.only.only(records.Define)
    assert (define.name, define.step_metric, define.summary, define.goal) == (
        "val/*",
        "epoch",
        ["min", "last"],
        "minimize",
    )
    assert "summary='median'" in capsys.readouterr().err
