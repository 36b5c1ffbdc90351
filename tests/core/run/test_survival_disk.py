"""A disk that is full, read-only, deleted or never there: training goes on, one warning, recording resumes by itself."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import until

from rankzero import records

TRAIN = """
import sys, time
import rankzero
run = rankzero.init(name="first", config={"lr": 0.1})
step = 0

def train(seconds):
    global step
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(100):
            run.log({"x": step, "a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4, "e": 0.5})
            step += 1
        print("step", step)
        time.sleep(0.005)

for line in sys.stdin:
    train(float(line))
    print("done", step, flush=True)
run.log({"x": step, "last": 1})
sys.exit(3)
"""


class Training:
    """A script that trains for as long as it is told to and ends with exit code 3."""

    def __init__(self, root: Any, folder: Path, **env: str) -> None:
        self._process = root.start(TRAIN, env={"RANKZERO_DIR": str(folder), **env})

    def train(self, seconds: float) -> int:
        """Train; the steps done so far."""
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return next(int(line.split()[1]) for line in self._process.stdout if line.startswith("done"))

    def fill(self, disk: Path) -> int:
        """Train until the disk is full; the steps done so far."""
        deadline = time.monotonic() + 60
        while shutil.disk_usage(disk).free >= 4096 and time.monotonic() < deadline:
            self.train(0.5)
        steps = self.train(0.5)
        self.wait_for_warning()
        return steps

    def wait_for_warning(self) -> None:
        """Wait until rankzero has said something on stderr, which `end` reads."""
        until("a warning", lambda: select.select([self._process.stderr], [], [], 0)[0])

    def end(self) -> tuple[int, list[str], float]:
        """Its exit code, what rankzero said on stderr, and the seconds its end took."""
        begun = time.monotonic()
        _, err = self._process.communicate(timeout=60)
        said = err.splitlines()
        assert all(line.startswith("rankzero: ") for line in said), err
        return self._process.returncode, said, time.monotonic() - begun


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB; needs the right to mount."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def _remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


def _journal(root: Any, folder: Path) -> Any:
    (path,) = folder.glob("default/*/journal/*.jsonl")
    return root.read(path)


def _whole(root: Any, folder: Path, steps: int) -> Any:
    """The journal, which holds every row once, in order, and the end."""
    journal = _journal(root, folder)
    assert [value for _, value in journal.curve("x")] == list(range(steps + 1))
    end = journal.only(records.End)
    assert (end.state, end.exit_code) == ("failed", 3)
    return journal


def _incomplete(journal: Any) -> list[records.Event]:
    return [event for event in journal.of(records.Event) if event.event == "incomplete"]


def test_a_disk_that_fills_up_and_has_room_again(root: Any, disk: Path) -> None:
    """Nothing is lost, the console neither; the run says that it was incomplete for a while."""
    training = Training(root, disk)
    training.fill(disk)
    _remount(disk, "size=64m")
    steps = training.train(1.5)
    code, said, _ = training.end()
    assert code == 3
    assert len(said) == 1
    assert "No space left on device" in said[0]
    journal = _whole(root, disk, steps)
    assert len(_incomplete(journal)) == 1
    assert journal.only(records.Config).values == {"lr": 0.1}
    (console,) = disk.glob("default/*/console/*.log")
    printed = [line for line in console.read_text().splitlines() if line.startswith("step")]
    assert printed == [f"step {step}" for step in range(100, steps + 1, 100)]


def test_a_disk_that_stays_full(root: Any, disk: Path) -> None:
    """The script ends as ever, soon, with its own exit code; what fitted is readable."""
    training = Training(root, disk)
    steps = training.fill(disk)
    code, said, seconds = training.end()
    assert (code, len(said)) == (3, 1)
    assert seconds < 8
    values = [value for _, value in _journal(root, disk).curve("x")]
    assert values == list(range(len(values)))
    assert 100 < len(values) <= steps


def test_a_root_that_cannot_be_written_at_first(root: Any, disk: Path) -> None:
    """On a read-only file system the training begins as ever; once it can be written everything is, from the first row."""
    _remount(disk, "size=64m,ro")
    training = Training(root, disk / "new")
    training.train(0.5)
    training.wait_for_warning()
    assert not (disk / "new").exists()
    _remount(disk, "size=64m,rw")
    steps = training.train(1.5)
    code, said, _ = training.end()
    assert code == 3
    assert len(said) == 1
    assert "Read-only file system" in said[0]
    journal = _whole(root, disk / "new", steps)
    assert len(_incomplete(journal)) == 1


def test_a_root_that_can_never_be_written(root: Any, tmp_path: Path) -> None:
    """One warning, the script's own exit code, and an end that takes no longer than it may."""
    (tmp_path / "file").write_text("no folder")
    training = Training(root, tmp_path / "file" / "runs")
    training.train(0.5)
    code, said, seconds = training.end()
    assert (code, len(said)) == (3, 1)
    assert seconds < 8


@pytest.mark.parametrize("what", ["journal", "run", "root"])
def test_a_folder_that_is_removed(root: Any, tmp_path: Path, what: str) -> None:
    """After rm -r of a run in use what follows is in a new file that can be read on its own; one warning says so."""
    place = tmp_path / "kept"
    training = Training(root, place)
    before = training.train(1.0)
    until("rows", lambda: list(place.glob("default/*/journal/*.jsonl")) and _journal(root, place).rows)
    (folder,) = place.glob("default/*")
    {"journal": folder / "journal", "run": folder, "root": place}[what].rename(tmp_path / "removed")
    shutil.rmtree(tmp_path / "removed")  # at once, as far as those who make files meanwhile can tell
    steps = training.train(1.0)
    code, said, _ = training.end()
    assert code == 3
    assert len(said) == 1
    assert "deleted while in use" in said[0]
    journal = _journal(root, place)
    values = [value for _, value in journal.curve("x")]
    assert values == list(range(values[0], steps + 1))
    assert values[0] <= before
    assert journal.only(records.Start).run == folder.name
    assert journal.only(records.Config).values == {"lr": 0.1}
    assert len(_incomplete(journal)) == 1
    assert journal.only(records.End).exit_code == 3


MEDIA = """
import sys
import numpy
import rankzero
run = rankzero.init(id="first", settings={"code": False})
run.log({"x": 0})
print(run.dir, flush=True)
sys.stdin.readline()
run.log({"x": 1, "picture": rankzero.Image(numpy.zeros((2, 2)))})
run.flush()
second = rankzero.init(id="second", reinit="create_new", settings={"code": False})
second.log({"y": 1})
second.flush()
print("read-only", flush=True)
sys.stdin.readline()
run.log({"x": 2})
second.log({"y": 2})
"""


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write anywhere")
def test_folders_made_read_only_for_a_while(root: Any) -> None:
    """The open journal goes on, a new run waits in memory, a picture is lost: one warning, and rows and texts are all there."""
    pytest.importorskip("numpy")
    without_rights = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    process = root.start(MEDIA, before=without_rights)
    folder = Path(process.stdout.readline().strip())
    folders = [root.path, *(path for path in root.path.rglob("*") if path.is_dir())]
    for each in folders:
        each.chmod(0o555)
    process.stdin.write("go on\n")
    process.stdin.flush()
    assert process.stdout.readline() == "read-only\n"
    assert not (root.path / "default" / "second").exists()
    for each in folders:
        each.chmod(0o755)
    _, err = process.communicate("end\n", timeout=60)
    assert process.returncode == 0
    assert err.count("rankzero:") == 1
    assert "Permission denied" in err
    assert root.read(folder / "journal" / "0001-r0.jsonl").curve("x") == [(0, 0), (1, 1), (2, 2)]
    second = root.read(root.path / "default" / "second" / "journal" / "0001-r0.jsonl")
    assert second.curve("y") == [(0, 1), (1, 2)]
    assert len(_incomplete(second)) == 1
