"""Many processes at once: writers of one run, and first runs in a folder that does not exist yet."""

from __future__ import annotations

import collections
from typing import Any

from rankzero import records
from rankzero.query import open_run

MANY = """
import os, random, sys, time
import rankzero
import rankzero.run.init, rankzero.run.facts.environment, psutil

begin, end = os.pipe()

def child(number):
    os.close(end)
    os.read(begin, 1)
{body}

for number in range({count}):
    if not os.fork():
        try:
            child(number)
        finally:
            os._exit(0)
os.close(end)
sys.exit(max(os.wait()[1] for _ in range({count})))
"""

PATIENT = {"RANKZERO_FINISH_TIMEOUT": "60"}
"""All of them end at once on few cores, and none may be left behind."""

ATTACH = """
    chance = random.Random(number)
    time.sleep(chance.uniform(0, 1.5))
    run = rankzero.init(project="p", id="shared", settings={"code": False, "packages": False, "console": False})
    for step in range(chance.randrange(1, 200)):
        run.log({"x": step, "writer": number})
        time.sleep(chance.uniform(0, 0.004))
    os.write(1, f"{number} {step + 1} {run.resumed}\\n".encode())
    if number % 4 == 0:
        run.flush()
        os.kill(os.getpid(), 9)
    if number % 4 == 1:
        run.finish()
"""

COLD = """
    run = rankzero.init(project=f"p{number % 5}", settings={"code": False, "packages": False, "console": False})
    run.log({"x": number})
    run.finish()
    os.write(1, f"{run.id}\\n".encode())
"""


def test_sixty_four_writers_attach_to_one_run_and_leave_it(root: Any) -> None:
    """Processes that come and go at random, a quarter of them killed: each has a journal of its own, and every row is there."""
    _, out, err = root.run(MANY.format(body=ATTACH, count=64), env=PATIENT)
    told = {int(number): int(rows) for number, rows, _ in (line.split() for line in out.splitlines())}
    assert len(told) == 64, err
    assert out.count("False") == 1
    (folder,) = root.folders
    journals = root.journals
    assert sorted(journal.only(records.Start).attempt for journal in journals) == list(range(1, 65))
    for journal in journals:
        (number,) = {values["writer"] for _, values in journal.rows}
        assert [values["x"] for _, values in journal.rows] == list(range(told.pop(number)))
        assert len(journal.of(records.End)) == (0 if number % 4 == 0 else 1)
    assert told == {}
    read = open_run(folder)
    assert len(read.attempts) == 64
    assert len(read.series("x", superseded=True).value) == sum(len(journal.rows) for journal in journals)


def test_fifty_first_runs_at_once(root: Any) -> None:
    """Fifty processes that start at once in a root that does not exist yet make fifty runs, whole ones."""
    code, out, err = root.run(MANY.format(body=COLD, count=50), env=PATIENT)
    assert (code, err) == (0, "")
    assert len(set(out.split())) == 50
    assert collections.Counter(folder.project for folder in root.folders) == {f"p{number}": 10 for number in range(5)}
    assert sorted(journal.rows[0][1]["x"] for journal in root.journals) == list(range(50))
    assert {journal.only(records.End).state for journal in root.journals} == {"finished"}
