"""A run that several attempts write: resume=allow, never, must, auto."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from tests.waiting import until

import rankzero
from rankzero import records
from rankzero.errors import ResumeError
from rankzero.query import open_run
from rankzero.run.threads import running

ATTEMPT = """
import rankzero, sys
run = rankzero.init({arguments})
print(run.id, run.resumed, run.step, run.name)
for _ in range({rows}):
    run.log({{"x": run.step}})
{end}
"""


def _attempt(root: Any, arguments: str, rows: int = 3, end: str = "", **options: Any) -> list[str]:
    code, out, err = root.run(ATTEMPT.format(arguments=arguments, rows=rows, end=end), **options)
    assert code in {0, 5, -signal.SIGKILL}, err
    return list(out.split())


def test_a_run_is_continued_by_its_id(root: Any) -> None:
    """The same id again is the next attempt of the same run: steps go on where the last ended, the name stays."""
    first = _attempt(root, "id='mine', name='baseline'")
    second = _attempt(root, "id='mine'", end="run.flush(); import os; os.kill(os.getpid(), 9)")
    third = _attempt(root, "id='mine', resume='must'")
    assert first == ["mine", "False", "0", "baseline"]
    assert second == ["mine", "True", "3", "baseline"]
    assert third == ["mine", "True", "6", "baseline"]
    assert [journal.only(records.Start).attempt for journal in root.journals] == [1, 2, 3]
    assert [journal.steps for journal in root.journals] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    read = open_run(root.folders[0])
    assert (read.name, read.state, len(read.attempts)) == ("baseline", "finished", 3)


def test_steps_go_on_after_a_fast_attempt(root: Any) -> None:
    """Also where the last heartbeat lies far before the end of a journal that was killed."""
    code = """
import os, rankzero
run = rankzero.init(id="mine")
for step in range(50_000):
    run.log({"a": 1.0, "b": 2.0, "c": 3.0})
run.flush()
os.kill(os.getpid(), 9)
"""
    assert root.run(code)[0] == -signal.SIGKILL
    assert _attempt(root, "id='mine'")[2] == "50000"


def test_what_earlier_attempts_recorded(root: Any) -> None:
    """Values up to a step are found in the latest attempt that has any, near the end of a long journal; rows of ranks' own are not."""
    code = """
import os, rankzero
run = rankzero.init(id="mine")
for step in range({begin}, {end}):
    run.log({{"other": 0.0}}, step=step)
    run.log({{"seen": {times} * step, "more": 0.5}}, step=step)
    run.log({{"seen": -1.0}}, step=step, ranks="all")
run.flush()
os.kill(os.getpid(), 9)
"""
    for begin, end, times in ((0, 10_000, 2), (9_000, 9_500, 3)):
        assert root.run(code.format(begin=begin, end=end, times=times))[0] == -signal.SIGKILL
    ask = """
import rankzero
run = rankzero.init(id="mine")
print(*(run.recorded_before(("seen", "nothing"), step).get("seen") for step in (9_499, 20_000, 9_300, 8_999, 4_000, 2, -1)))
"""
    code_, out, err = root.run(ask)
    assert code_ == 0, err
    assert out.split() == ["28497", "28497", "27900", "17998", "8000", "4", "None"]


def test_resume_never_and_must(root: Any) -> None:
    """The strict modes refuse at init, with a sentence, and leave no run open and soon no thread (finish() does not wait for git)."""
    with pytest.raises(ResumeError, match='resume="must", but there is no run'):
        root.init(id="mine", resume="must")
    assert rankzero.run is None
    run = root.init(id="mine", resume="never")
    run.log({"x": 1})
    run.finish()
    with pytest.raises(ResumeError, match="choose another id"):
        root.init(id="mine", resume="never")
    assert rankzero.run is None
    until("the end of the threads", lambda: not running())
    root.init(id="mine", resume="allow").finish()


def test_resume_auto_continues_what_did_not_finish(root: Any) -> None:
    """The newest run of the project that crashed or failed goes on; one that finished, or is running now, does not."""
    done = _attempt(root, "project='p', resume='auto'")
    crashed = _attempt(root, "project='p', resume='auto'", end="run.flush(); import os; os.kill(os.getpid(), 9)")
    other = _attempt(root, "project='q', resume='auto'")
    failed = _attempt(root, "project='p', resume='auto'", end="sys.exit(5)")
    assert len({done[0], crashed[0], other[0]}) == 3
    assert failed[:3] == [crashed[0], "True", "3"]
    running = root.start(
        "import rankzero, sys\nrun = rankzero.init(project='p', resume='auto')\nrun.log({'x': 1})\nprint(run.id, flush=True)\nsys.stdin.read()"
    )
    assert running.stdout.readline().strip() == crashed[0]
    fresh = _attempt(root, "project='p', resume='auto'")
    assert fresh[0] not in {done[0], crashed[0], other[0]}
    running.communicate(timeout=60)
