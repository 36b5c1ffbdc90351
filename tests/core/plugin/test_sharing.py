"""How the integrations of one process share what there is to record."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rankzero.plugin import claim, release


def test_the_more_specific_one_records_until_it_gives_up() -> None:
    """A claim of higher precedence wins over an earlier one; given up, the quantity is anybody's again."""
    assert claim("test/loop", "general", 10)
    assert claim("test/loop", "specific", 20)
    assert not claim("test/loop", "general", 10)
    release("test/loop", "general")
    assert not claim("test/loop", "general", 10)
    release("test/loop", "specific")
    assert claim("test/loop", "general", 10)


def _below_run(root: Path, code: str) -> list[str]:
    """What a program printed that was started as if by `rankzero run`."""
    environ = {**os.environ, "RANKZERO_DIR": str(root), "RANKZERO_LAUNCH": "token", "RANKZERO_CODE": "off"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_another_training_is_another_run(tmp_path: Path) -> None:
    """Asked for a fresh one, the run made for the last training is over and a new one is there, or the one that is named."""
    code = """
from rankzero.plugin import training_run
first = training_run("one")
assert training_run("one") is first and training_run("another") is first
second = training_run("one", fresh=True)
print(first.state, second.state, first.id != second.id)
again = training_run("one", fresh=True, run_id=first.id)
print(second.state, again.id == first.id, again.resumed)
"""
    assert _below_run(tmp_path, code) == ["finished", "running", "True", "finished", "True", "True"]


def test_a_run_made_by_hand_stays(tmp_path: Path) -> None:
    """Of a run that the user has made, no integration makes another one."""
    code = """
import rankzero
from rankzero.plugin import training_run
run = rankzero.init(mode="on")
print(training_run("one", fresh=True) is run, run.state)
run.finish()
print(training_run("one") is run)
"""
    assert _below_run(tmp_path, code) == ["True", "running", "False"]


def test_who_drives_the_loop_has_the_run(tmp_path: Path) -> None:
    """While one integration has claimed "loop", the others are given no run; then they are again."""
    code = """
from rankzero.plugin import claim, release, training_run
claim("loop", "driver", 20)
print(training_run("general") is None)
run = training_run("driver")
print(training_run("general") is None)
release("loop", "driver")
print(training_run("general") is run)
"""
    assert _below_run(tmp_path, code) == ["True", "True", "True"]
