"""Imports of ours in threads, and a program that forks meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FORKS_IN_AN_IMPORT = """
import os, sys, threading, time
from rankzero.run import loading

loading.LONGEST = 0.5
loading.install()
sys.path.insert(0, sys.argv[1])
open(sys.argv[1] + "/forks.py", "w").write('''
import os, threading, time
from rankzero.run import loading
def ours():
    with loading.forks_wait():
        begun.set()
        import forks
begun = threading.Event()
thread = threading.Thread(target=ours)
thread.start()
begun.wait()
time.sleep(0.1)
pid = os.fork()
if not pid:
    with loading.forks_wait():
        os._exit(7)
''')
import forks
print(os.waitstatus_to_exitcode(os.waitpid(forks.pid, 0)[1]))
forks.thread.join()
loading.LONGEST = 40.0
begun = time.monotonic()
if not os.fork():
    os._exit(0)
print(time.monotonic() - begun < 20.0)
"""


def test_a_program_that_forks_in_an_import(tmp_path: Path) -> None:
    """It holds what our thread waits for and waits for our thread: the fork goes on after a while, and so do both processes."""
    command = [sys.executable, "-c", FORKS_IN_AN_IMPORT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["7", "True"], done.stderr
