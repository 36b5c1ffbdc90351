"""Threads of ours: seen by a program that asked for a run, unseen by one that never heard of us."""

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
from rankzero.run.threads import Unseen

LOOKS = """
import threading, time
import rankzero
run = rankzero.init()
run.log({"a": 1.0})
time.sleep(1.0)
names = sorted(thread.name for thread in threading.enumerate())
count = threading.active_count()
run.finish()
print(names, count, [thread.name for thread in threading.enumerate()])
"""


@pytest.mark.parametrize("launched", [False, True])
def test_who_sees_them(tmp_path: Path, launched: bool) -> None:
    """Below `rankzero run` `threading.enumerate` shows what it would show without; by hand the writer is there by name."""
    environ = clean_environ() | {"RANKZERO_DIR": str(tmp_path / "runs"), "RANKZERO_STRICT": "1", "RANKZERO_LAUNCH": ""}
    if launched:
        environ["RANKZERO_LAUNCH"] = "token"
    done = subprocess.run(
        [sys.executable, "-c", LOOKS], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    seen = done.stdout.strip()
    if launched:
        assert seen == "['MainThread'] 1 ['MainThread']", done.stderr
    else:
        assert "rankzero-writer" in seen.partition("]")[0]
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

    thread = Unseen(work)
    thread.start()
    thread.join(60)
    assert known == [True, False]
