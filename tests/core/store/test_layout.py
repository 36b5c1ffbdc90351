"""Where a run lies: names that can be folders, and what is found under a root."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankzero.errors import UsageError
from rankzero.store import RunFolder, check_name, every_run, journal_name, parse_journal_name


@pytest.mark.parametrize("name", ["a", "A-b_c.1", "_x", "0", "x" * 128, "2024.01.02"])
def test_names_that_are_folders(name: str) -> None:
    """Letters, digits, dots, dashes and underscores."""
    assert check_name("project", name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".jobs", "a/b", "a b", "-x", "x" * 129, "a\n", "ä", "a\0", "C:\\x"])
def test_names_that_are_none(name: str) -> None:
    """Refused with a sentence that says what may be written."""
    with pytest.raises(UsageError, match="cannot be a project: use up to 128 letters"):
        check_name("project", name)


@given(st.text())
def test_a_good_name_stays_in_its_folder(name: str) -> None:
    """Whatever passes is one component of a path below the root."""
    try:
        check_name("run id", name)
    except UsageError:
        return
    path = RunFolder(Path("/root"), "project", name).path
    assert path.parent == Path("/root/project")
    assert path.name == name


@given(st.integers(1, 10**9), st.from_regex(r"r\d{1,6}(-[a-z0-9]{1,20}-\d{1,7})?", fullmatch=True))
def test_a_journals_name_says_attempt_and_writer(attempt: int, writer: str) -> None:
    """And sorts by attempt up to ten thousand."""
    assert parse_journal_name(journal_name(attempt, writer)) == (attempt, writer)
    assert journal_name(9, "r0") < journal_name(10, "r0") < journal_name(9999, "r0")


def test_only_runs_are_runs(tmp_path: Path) -> None:
    """Claims, files, hidden folders and folders without a journal are none; a root that is not there is empty."""
    for path in ("p/one/journal", "p/two/journal", "q/one/journal", "p/three/media", ".jobs/abc", ".hidden/x/journal"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "p" / "file").touch()
    (tmp_path / "notes.txt").touch()
    assert [(run.project, run.run) for run in every_run(tmp_path)] == [("p", "one"), ("p", "two"), ("q", "one")]
    assert [run.run for run in every_run(tmp_path, "q")] == ["one"]
    assert list(every_run(tmp_path / "nowhere")) == []
    assert list(every_run(tmp_path, "nothing")) == []


def test_journals_in_order(tmp_path: Path) -> None:
    """By attempt, then by writer; reservations and drafts are none."""
    folder = RunFolder(tmp_path, "p", "run")
    assert not folder.exists()
    assert folder.journals() == []
    folder.journal.mkdir(parents=True)
    for name in ("0002-r0.jsonl", "0001-r1.jsonl", "0001-r0.jsonl", "0003.attempt", "0001-r0.jsonl.tmp", "x-r0.jsonl"):
        (folder.journal / name).touch()
    assert [path.name for path in folder.journals()] == ["0001-r0.jsonl", "0001-r1.jsonl", "0002-r0.jsonl"]
