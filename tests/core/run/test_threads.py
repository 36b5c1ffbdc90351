"""Threads of ours are not among the program's own."""

from __future__ import annotations

import _thread
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.launchers.commands import clean_environ

from rankzero.ranks import current
from rankzero.run.facts.system import Sampler
from rankzero.run.threads import Background

LOOKS = """
import sys, threading, time
import rankzero
from rankzero.run.threads import running
run = rankzero.init()
run.log({"a": 1.0})
while "psutil" not in sys.modules or "rankzero-chore" in running():
    time.sleep(0.01)
print("rankzero-writer" in running(), [thread.name for thread in threading.enumerate()], threading.active_count())
run.finish()
"""


@pytest.mark.parametrize("launched", [False, True])
def test_who_sees_them(tmp_path: Path, launched: bool) -> None:
    """Recorded by hand or below `rankzero run`: `threading.enumerate` shows what it would show without."""
    environ = clean_environ() | {"RANKZERO_DIR": str(tmp_path / "runs"), "RANKZERO_STRICT": "1", "RANKZERO_LAUNCH": ""}
    if launched:
        environ["RANKZERO_LAUNCH"] = "token"
    done = subprocess.run(
        [sys.executable, "-c", LOOKS], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "True ['MainThread'] 1", done.stderr
    journal = next((tmp_path / "runs").glob("*/*/journal/*.jsonl")).read_text()
    assert '"finished"' in journal


def test_a_library_that_makes_it_known() -> None:
    """The library psutil asks `threading` about the thread that imports it; after a sample it is unknown again."""
    known: list[bool] = []
    ranks = current()

    def work() -> None:
        threading.current_thread()
        known.append(_thread.get_ident() in {thread.ident for thread in threading.enumerate()})
        Sampler(ranks).sample()
        known.append(_thread.get_ident() in {thread.ident for thread in threading.enumerate()})

    thread = Background("rankzero-test", work)
    thread.start()
    thread.join(60)
    assert known == [True, False]
