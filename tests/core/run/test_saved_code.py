"""The code beside the commit: complete where it is small, bounded where it is not, and without secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rankzero.run.facts import saved_code
from rankzero.run.facts.saved_code import save_code
from rankzero.settings import Settings

TOKEN = "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345"


def git(folder: Path, *command: str) -> None:
    """Run git as somebody, wherever the test runs."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *command], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a repository with one commit."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("lr = 0.1\n")
    (folder / "data.bin").write_bytes(b"\0\1\2")
    (folder / ".gitignore").write_text("ignored.py\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    monkeypatch.chdir(folder)
    return folder


def settings_for(tmp_path: Path) -> Settings:
    """Settings whose runs lie outside the repository."""
    return Settings(dir=str(tmp_path / "runs"))


def kept(folder: Path) -> list[str]:
    """The untracked files that were kept."""
    return sorted(
        str(path.relative_to(folder / "untracked")) for path in (folder / "untracked").rglob("*") if path.is_file()
    )


def test_diff_applies_to_the_commit(repository: Path, tmp_path: Path) -> None:
    """The diff holds staged and unstaged changes, and gives back the tree it was taken from."""
    (repository / "train.py").write_text("lr = 0.2  # é\n")
    (repository / "new.py").write_text("x = 1\n")
    git(repository, "add", "new.py")
    facts = save_code(tmp_path / "code", settings_for(tmp_path))
    patch = tmp_path / "code" / "diff.patch"
    assert facts == {"diff": patch.stat().st_size}
    git(repository, "reset", "-q", "--hard")
    git(repository, "apply", str(patch))
    assert (repository / "train.py").read_text() == "lr = 0.2  # é\n"
    assert (repository / "new.py").read_text() == "x = 1\n"


def test_untracked_text_files(repository: Path, tmp_path: Path) -> None:
    """Untracked text is kept in its place; ignored, binary, linked, special and secret files are not."""
    (repository / "sub").mkdir()
    (repository / "sub" / "model.py").write_text(f"token = '{TOKEN}'\nwidth = 8\n")
    (repository / "odd näme.txt").write_text("text")
    (repository / "ignored.py").write_text("x")
    (repository / "weights.pt").write_bytes(b"PK\0\0")
    (repository / "latin.txt").write_bytes("é".encode("latin-1"))
    (repository / ".env").write_text("PASSWORD=1")
    (repository / "id_rsa").write_text("key")
    (repository / "link.py").symlink_to("/etc/hostname")
    os.mkfifo(repository / "pipe.py")
    (repository / "runs" / "p" / "r").mkdir(parents=True)
    (repository / "runs" / "p" / "r" / "journal.jsonl").write_text("{}")
    facts = save_code(tmp_path / "code", Settings(dir=str(repository / "runs")))
    assert kept(tmp_path / "code") == ["odd näme.txt", "sub/model.py"]
    assert facts["untracked"] == 2
    assert {".env", "id_rsa", "latin.txt", "link.py", "weights.pt"} <= set(facts["left_out"])
    text = (tmp_path / "code" / "untracked" / "sub" / "model.py").read_text()
    assert TOKEN not in text
    assert "width = 8" in text


def test_sizes_are_bounded(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long diff is cut, large files are left out, and of many the code comes first."""
    monkeypatch.setattr(saved_code, "LARGEST_DIFF", 1000)
    monkeypatch.setattr(saved_code, "LARGEST_FILE", 100)
    monkeypatch.setattr(saved_code, "MOST_FILES", 3)
    (repository / "train.py").write_text("x = 1\n" * 10_000)
    (repository / "big.py").write_text("x" * 101)
    (repository / "a.py").write_text("1")
    for index in range(50):
        (repository / f"a{index:02}.dat").write_text("1")
    facts = save_code(tmp_path / "code", settings_for(tmp_path))
    assert (tmp_path / "code" / "diff.patch").stat().st_size == 1000
    assert kept(tmp_path / "code") == ["a.py", "a00.dat", "a01.dat"]
    assert facts["left_out"][0] == "big.py"
    assert len(facts["left_out"]) == 20


def test_a_clean_repository_leaves_no_folder(repository: Path, tmp_path: Path) -> None:
    """Nothing to keep, nothing written; a repository without a commit gives its staged files as the diff."""
    assert save_code(tmp_path / "code", settings_for(tmp_path)) == {}
    assert not (tmp_path / "code").exists()
    fresh = repository / "fresh"
    fresh.mkdir()
    git(fresh, "init", "-q")
    (fresh / "first.py").write_text("first\n")
    git(fresh, "add", ".")
    os.chdir(fresh)
    assert save_code(tmp_path / "code", settings_for(tmp_path))["diff"] > 0
    assert "+first" in (tmp_path / "code" / "diff.patch").read_text()


def test_outside_a_repository_the_script_is_kept(tmp_path: Path) -> None:
    """Without git the main script is all that is known of the code, and it is kept; with `-c` there is none."""
    code = (
        "import pathlib\n"
        "from rankzero.run.facts.saved_code import save_code\n"
        "from rankzero.settings import Settings\n"
        "print(save_code(pathlib.Path('code'), Settings()))\n"
    )
    (tmp_path / "script.py").write_text(code)
    done = subprocess.run([sys.executable, "script.py"], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "{'untracked': 1}\n"
    assert (tmp_path / "code" / "untracked" / "script.py").read_text() == code
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "{}\n"


def test_a_folder_that_cannot_be_written_says_so(repository: Path, tmp_path: Path) -> None:
    """The one error that is passed on is the caller's own folder failing."""
    (repository / "train.py").write_text("changed\n")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        save_code(tmp_path / "file" / "code", settings_for(tmp_path))
