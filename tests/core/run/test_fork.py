"""Forked children are nobody: they write nothing, hold nothing, wait for nothing, unless they make a run of their own."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rankzero import records

FORKS = """
import gc, os, signal, sys, threading, time
import rankzero

run = rankzero.init(settings={{"code": False, "packages": False, "system_interval": 0}})
stop = False
count = 0

def load():
    global count
    while not stop:
        for _ in range(20):
            run.log({{"x": count, "y": 0.5}})
            count += 1
        run.log({{"text": "t", "x": count}})
        count += 1
        time.sleep(0.001)

def hold():
    while not stop:
        run.summary["x"]
        run.flush()
        time.sleep(0.0005)

def child(number):
    signal.alarm(30)
    gc.collect()
    run.log({{"x": -1}})
    run.log({{"x": -1}}, ranks="all")
    rankzero.log({{"x": -1}})
    run.summary["z"] = -1
    run.config["z"] = -1
    run.event("child")
    run.flush()
    if number % 3 == 0:
        run.finish()
    os._exit(7)

threads = [threading.Thread(target=work, daemon=True) for work in (load, hold)]
for thread in threads:
    thread.start()
time.sleep(0.3)
slowest = 0.0
for batch in range({forks} // 8):
    begun = time.monotonic()
    pids = [os.fork() or child(number) for number in range(8)]
    for pid in pids:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7, "a child hung"
    slowest = max(slowest, time.monotonic() - begun)
stop = True
for thread in threads:
    thread.join()
run.finish()
print(count, slowest)
"""


@pytest.mark.slow
def test_two_thousand_forks_under_load(root: Any) -> None:
    """While two threads log and read back: no child waits for a lock of its parent, none writes a line, none is written twice."""
    code, out, err = root.run(FORKS.format(forks=2000))
    assert (code, err) == (0, "")
    count, slowest = out.split()
    journal = root.only
    assert [value for _, value in sorted(journal.curve("x"))] == list(range(int(count)))
    assert journal.steps.count(0) == 1
    assert float(slowest) < 25
    assert journal.of(records.Event) == []
    assert journal.of(records.Config) == []
    assert journal.of(records.Summary) == []
    assert journal.local == []
    assert len(journal.of(records.End)) == 1


LOADER = """
import os, sys
import torch
import rankzero
from torch.utils.data import DataLoader, Dataset

class Data(Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, index):
        rankzero.log({"worker": index})
        run.log({"worker": torch.tensor(float(index))}, ranks="all")
        run.summary["worker"] = index
        rankzero.config.update({"worker": index})
        print("worker", index)
        return float(index)

run = rankzero.init(config={"lr": 1})
for epoch in range(2):
    for batch in DataLoader(Data(), batch_size=8, num_workers=2, multiprocessing_context="fork"):
        run.log({"x": float(batch.sum())})
print(os.getpid(), flush=True)
"""


@pytest.mark.slow
def test_data_workers_are_silent(root: Any) -> None:
    """Logging in a DataLoader's workers does nothing and blocks nothing; the run holds what the training itself logged."""
    pytest.importorskip("torch")
    code, out, err = root.run(LOADER)
    assert (code, err) == (0, "")
    journal = root.only
    assert journal.steps == list(range(16))
    assert journal.local == []
    assert [config.values for config in journal.of(records.Config)] == [{"lr": 1}]
    assert journal.of(records.Summary) == []
    assert journal.only(records.End).state == "finished"
    (console,) = root.path.glob("default/*/console/*.log")
    assert console.read_text().splitlines() == out.splitlines()[-1:]


OWN = """
import multiprocessing, os, sys
import rankzero

def child(number):
    assert rankzero.run.state == "forked"
    run = rankzero.init(name=f"child{number}", settings={"code": False, "packages": False})
    for step in range(5):
        rankzero.log({"x": number})
    if number == 1:
        run.finish()

parent = rankzero.init(name="parent", settings={"code": False, "packages": False})
parent.log({"x": 0})
started = [multiprocessing.get_context("fork").Process(target=child, args=(number,)) for number in (1, 2)]
for process in started:
    process.start()
for process in started:
    process.join()
    assert process.exitcode == 0
pid = os.fork()
if not pid:
    child(3)
    sys.exit(5)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
parent.log({"x": 0})
"""


def test_a_forked_child_may_make_a_run_of_its_own(root: Any) -> None:
    """It stands beside its parent's, whole, whichever way the child ends."""
    code, _, err = root.run(OWN)
    assert (code, err) == (0, "")
    runs = {meta.name: journal for journal in root.journals for meta in journal.of(records.Meta) if meta.name}
    assert {name: len(journal.rows) for name, journal in runs.items()} == {
        "parent": 2,
        "child1": 5,
        "child2": 5,
        "child3": 5,
    }
    ends = {name: journal.only(records.End).exit_code for name, journal in runs.items()}
    assert ends == {"parent": 0, "child1": 0, "child2": 0, "child3": 5}


ASKING = """
import os
import rankzero
from rankzero.errors import UsageError

run = rankzero.init()
pid = os.fork()
if not pid:
    try:
        run.id
    except UsageError as error:
        print(error)
    run.finish()
    with run:
        print(run.state, run.step, dict(run.summary), run.project)
    os._exit(0)
os.waitpid(pid, 0)
run.log({"x": 1})
print(run.id)
"""


def test_what_a_child_may_ask(root: Any) -> None:
    """A child that was forked before anything was decided is told to ask its parent; nothing else in it fails."""
    begun = time.monotonic()
    code, out, err = root.run(ASKING)
    assert (code, err) == (0, "")
    sentence, state, run = out.splitlines()
    assert "forked before its parent knew its run" in sentence
    assert state == "forked 0 {} default"
    assert root.folders[0].run == run
    assert time.monotonic() - begun < 30
