from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rankzero import records
from rankzero.journal import Journal, writer
from rankzero.store import RunFolder


def _journal(root: Path) -> Journal:
    folder = RunFolder(root, "p", "run")
    return Journal(folder, "r0", records.Start(run="run", project="p", attempt=1, wall=0.0))


def _kinds(path: Path) -> list[str]:
    lines = [records.decode_line(line) for line in path.read_bytes().splitlines()]
    return [type(line).__name__ for line in lines]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB; needs the right to mount."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], check=False, capture_output=True
    ).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_lines_are_in_the_file_as_soon_as_written(tmp_path: Path) -> None:
    """Nothing lingers in a buffer of ours: a reader sees a line right after write()."""
    journal = _journal(tmp_path)
    journal.write(records.encode_rows([[0, 1, 2, 0.5]]))
    assert _kinds(journal.path) == ["Start", "list"]
    assert journal.close()


def test_a_full_disk_loses_nothing_and_leaves_no_torn_line(small_disk: Path) -> None:
    """What does not fit waits in memory and continues exactly where the disk stopped taking it."""
    journal = _journal(small_disk)
    for step in range(20_000):
        journal.write(records.encode_rows([[0, step, step, 0.123456789]]))
    assert journal.trouble
    assert journal.path.stat().st_size < 257 * 1024
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    assert journal.flush(now=True)
    rows = [records.decode_line(line) for line in journal.path.read_bytes().splitlines()[1:]]
    assert [row[1] for row in rows if isinstance(row, list)] == list(range(20_000))
    assert journal.outages == 1


def test_a_deleted_folder_is_made_anew_with_all_that_is_needed_to_read_it(tmp_path: Path) -> None:
    """Rm -r of a run in use does not stop the recording, and the new file explains its own columns."""
    journal = _journal(tmp_path)
    journal.pin(records.Columns(id=0, keys=["loss"]))
    journal.write(records.encode_rows([[0, 1, 2, 0.5]]))
    shutil.rmtree(tmp_path / "p")
    journal.write(records.encode_rows([[0, 2, 3, 0.25]]))
    assert _kinds(journal.path) == ["Start", "Columns", "list"]
    assert journal.outages == 1


def test_memory_is_bounded_while_nothing_can_be_written(tmp_path: Path) -> None:
    """Past the limit whole batches are counted as lost instead of filling the memory."""
    (tmp_path / "p").write_text("a file where a folder should be")
    journal = _journal(tmp_path)
    batch = b"x" * (writer.BACKLOG_LIMIT // 4) + b"\n"
    for _ in range(6):
        journal.write(batch)
    assert journal.lost_batches >= 2
    assert journal.trouble


def test_the_writer_never_blocks_on_a_refusing_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries no system call is made, and a try that works again clears the trouble."""
    monkeypatch.setattr(writer, "RETRY_SECONDS", 600.0)
    (tmp_path / "p").write_text("a file where a folder should be")
    journal = _journal(tmp_path)
    assert journal.flush() is False
    (tmp_path / "p").unlink()
    assert journal.flush() is False
    assert journal.flush(now=True) is True
    assert journal.trouble == ""
