"""The layout of a root folder.

<root>/
  .jobs/<job>/...                      which run the processes of a job agreed on
  <project>/<run id>/
    journal/<attempt>-<writer>.jsonl   one append-only file per writer; all of the run is here
    journal/<attempt>.attempt          reserves an attempt's number
    console/<attempt>-<writer>.log     what the writer's process printed
    stacks/<attempt>-<writer>.txt      stack dumps
    media/  files/  code/              logged media, saved files, diff and untracked files
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rankzero.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}")
_JOURNAL = re.compile(r"^(\d{4,})-(.+)\.jsonl$")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folders of one run under one root."""

    root: Path
    project: str
    run: str

    @property
    def path(self) -> Path:
        """The run's own folder."""
        return self.root / self.project / self.run

    @property
    def journal(self) -> Path:
        """The folder of the journals."""
        return self.path / "journal"

    @property
    def console(self) -> Path:
        """The folder of what each rank printed."""
        return self.path / "console"

    @property
    def stacks(self) -> Path:
        """The folder of stack dumps."""
        return self.path / "stacks"

    @property
    def media(self) -> Path:
        """The folder of logged media."""
        return self.path / "media"

    @property
    def files(self) -> Path:
        """The folder of saved files."""
        return self.path / "files"

    @property
    def code(self) -> Path:
        """The folder of the diff and the untracked files."""
        return self.path / "code"

    def exists(self) -> bool:
        """Whether anything was written for this run."""
        return self.journal.is_dir()

    def journals(self) -> list[Path]:
        """The journals of all attempts and writers, in order of attempt and writer."""
        if not self.journal.is_dir():
            return []
        return sorted(path for path in self.journal.iterdir() if _JOURNAL.match(path.name))


def journal_name(attempt: int, writer: str) -> str:
    """The file name of a writer's journal."""
    return f"{attempt:04d}-{writer}.jsonl"


def parse_journal_name(name: str) -> tuple[int, str] | None:
    """The attempt and the writer of a journal's file name, or None if it is not one."""
    match = _JOURNAL.match(name)
    return (int(match[1]), match[2]) if match else None


def every_run(root: Path, project: str | None = None) -> Iterator[RunFolder]:
    """All runs under `root`, of one project or of all, in order of project and id."""
    if not root.is_dir():
        return
    for folder in sorted(root.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir() or (project is not None and folder.name != project):
            continue
        for run in sorted(folder.iterdir()):
            if (run / "journal").is_dir():
                yield RunFolder(root, folder.name, run.name)


def check_name(kind: str, name: str) -> str:
    """`name` if it can be a folder's name.

    Raises:
        UsageError: saying which characters a `kind` ("project", "run id") may have.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a {kind}: use up to 128 letters, digits, '_', '-' and '.', not beginning with '.' or '-'"
        )
    return name
