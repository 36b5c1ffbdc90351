"""Identities of processes, and the weight of the room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from rankzero.ranks import process_started, processes
from rankzero.ranks.identity import unranked
from rankzero.ranks.slurm import tasks_on

_IMPORT = """
import json, sys, time
import rankzero, rankzero.settings
before, loaded = time.process_time(), set(sys.modules)
import rankzero.ranks
spent = time.process_time() - before
rankzero.ranks.current()
print(json.dumps([spent, sorted(set(sys.modules) - loaded)]))
"""


def test_start_of_a_process() -> None:
    """The start is in seconds since the epoch; of a process that does not exist it is not known."""
    before = time.time()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert before - 2 < process_started(child.pid) < time.time() + 2
        assert abs(process_started(child.pid) - psutil.Process(child.pid).create_time()) < 2
        child.communicate(b"\n")
    assert process_started(child.pid) == 0.0


def test_identities_differ() -> None:
    """No two processes have one identity, and a process keeps its own."""
    own, parent = processes.identity(os.getpid()), processes.identity(os.getppid())
    assert own == processes.identity(os.getpid())
    assert own != parent
    assert processes.parent(os.getpid()) == os.getppid()


def test_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc, psutil tells the same."""
    asked = (processes.parent, processes.command, process_started)
    by_proc = [ask(os.getpid()) for ask in asked]
    monkeypatch.setattr(processes, "_read", lambda _path: "")
    by_psutil = [ask(os.getpid()) for ask in asked]
    assert by_psutil[:2] == by_proc[:2]
    assert abs(float(str(by_psutil[2])) - float(str(by_proc[2]))) < 2
    assert processes.identity(os.getpid()) == processes.identity(os.getpid()) != processes.identity(os.getppid())
    assert processes.identity(2**30)[2:] == (str(2**30), "None")


def test_nearest_ancestor_by_its_command(tmp_path: Path) -> None:
    """An agent is found behind a wrapper by a word of its command line."""
    told = tmp_path / "told"
    code = f"""
import os
from rankzero.ranks import processes
found = processes.ancestor(os.getpid(), ["--control-port"]), processes.ancestor(os.getpid(), ["no such option"])
open({str(told)!r}, "w").write(" ".join(map(str, found)))
"""
    agent = subprocess.Popen(
        ["sh", "-c", 'sh -c "$1 -c \\"\\$2\\"; :" x "$1" "$2"; :', "--control-port", sys.executable, code]
    )
    assert agent.wait(60) == 0
    assert told.read_text().split() == [str(agent.pid), "0"]


@pytest.mark.parametrize(
    "command",
    [
        ["python", "launch.py", "--node_rank=0", "--nproc", "2", "train.py", "--lr", "1"],
        ["python", "launch.py", "--node-rank", "3", "--nproc", "2", "train.py", "--lr", "1"],
        [
            "python",
            "launch.py",
            "--rdzv-id=a",
            "--rdzv_endpoint",
            "h:1",
            "--nproc",
            "2",
            "train.py",
            "--local-rank=1",
            "--lr",
            "1",
        ],
    ],
)
def test_command_lines_without_ranks(command: list[str]) -> None:
    """What differs between ranks, nodes or restarts is no part of a command."""
    assert " ".join(unranked(tuple(command))) == "python launch.py --nproc 2 train.py --lr 1"


@pytest.mark.parametrize(("pattern", "expected"), [("2(x3),1", [2, 2, 2, 1, None]), ("4", [4, None]), ("x", [None])])
def test_tasks_per_node(pattern: str, expected: list[int | None]) -> None:
    """Slurm's pattern of tasks per node is read as Slurm means it."""
    assert [tasks_on(pattern, node) for node in range(len(expected))] == expected


def test_light(tmp_path: Path) -> None:
    """The room takes a few milliseconds to import and loads nothing but the standard library, also when it answers."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    runs = [
        json.loads(subprocess.run([sys.executable, "-c", _IMPORT], env=environ, check=True, capture_output=True).stdout)
        for _ in range(6)
    ]
    tops = {name.partition(".")[0] for name in runs[-1][1]}
    assert tops <= set(sys.stdlib_module_names) | {"rankzero"}
    assert min(seconds for seconds, _ in runs) < 0.015  # 3 ms on an idle machine
