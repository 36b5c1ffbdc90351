"""Runs made in this process or by real programs, and what their journals hold."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

import rankzero
from rankzero import errors
from rankzero.journal.reader import JournalReader
from rankzero.records import Record
from rankzero.store import RunFolder, every_run

R = TypeVar("R")
PATIENCE = 200.0
"""Seconds that any program of a test may take on a busy machine."""

QUIET = {"console": False, "packages": False, "code": False, "system_interval": 0.0}
"""Settings of runs that are about something else than the environment."""


class Recorded:
    """What one journal holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[Record] = []
        self.rows: list[tuple[int, dict[str, Any]]] = []
        self.times: list[int] = []
        self.local: list[tuple[int, dict[str, Any]]] = []
        self.beats: list[tuple[int, float, int | None]] = []
        for batch in JournalReader(path).read():
            self.records += batch.records
            self.beats += batch.beats
            found = [(columns, row) for columns, rows in batch.rows for row in rows]
            for columns, row in sorted(found, key=lambda pair: pair[1][2]):
                values = dict(zip(columns.keys, map(_number, row[3:]), strict=True))
                if not columns.local:
                    self.rows.append((row[1], values))
                    self.times.append(row[2])
                elif not any(key.startswith("system/") for key in values):
                    self.local.append((row[1], values))

    def of(self, kind: type[R]) -> list[R]:
        """The records of one kind."""
        return [record for record in self.records if isinstance(record, kind)]

    def only(self, kind: type[R]) -> R:
        """The one record of a kind."""
        (record,) = self.of(kind)
        return record

    def curve(self, key: str) -> list[tuple[int, Any]]:
        """Steps and values of one metric, in the order in which they were logged."""
        return [(step, values[key]) for step, values in self.rows if key in values]

    @property
    def steps(self) -> list[int]:
        """The steps of the rows, in the order in which they were logged."""
        return [step for step, _ in self.rows]


def _number(value: Any) -> Any:
    return {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.get(value, value)


class Root:
    """A root folder: makes runs in it, runs programs that record into it, and reads what is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "runs"
        self.started: list[subprocess.Popen[str]] = []

    def init(self, **given: Any) -> rankzero.Run:
        """A run of this process."""
        settings = {**QUIET, **given.pop("settings", {})}
        return rankzero.init(dir=self.path, settings=settings, **given)

    def start(
        self, code: str | Path, *arguments: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> subprocess.Popen[str]:
        """A program that has this root as RANKZERO_DIR, running; its streams are pipes of text.

        `code` is the program or a script's path, `before` are words that go before python on the command line.
        """
        environ = {**os.environ, "RANKZERO_DIR": str(self.path), "PYTHONUNBUFFERED": "1", **(env or {})}
        command = [*before, sys.executable, *(["-c", code] if isinstance(code, str) else [str(code)]), *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, cwd=self.folder, env=environ, text=True, stdin=pipe, stdout=pipe, stderr=pipe
        )
        self.started.append(process)
        return process

    def run(self, code: str | Path, *arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        """A program, to its end: exit code, stdout, stderr."""
        process = self.start(code, *arguments, env=env)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

    @property
    def folders(self) -> list[RunFolder]:
        """The runs in this root."""
        return list(every_run(self.path))

    @property
    def journals(self) -> list[Recorded]:
        """Every journal of every run."""
        return [Recorded(path) for folder in self.folders for path in folder.journals()]

    def read(self, path: Path) -> Recorded:
        """One journal."""
        return Recorded(path)

    def of(self, run: rankzero.Run) -> list[Recorded]:
        """The journals of one run."""
        return [Recorded(path) for path in RunFolder(self.path, run.project, run.id).journals()]

    @property
    def only(self) -> Recorded:
        """The one journal of the one run."""
        (journal,) = self.journals
        return journal


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """An empty root; what was left open or running is closed or killed."""
    errors._warned.clear()
    found = Root(tmp_path)
    yield found
    rankzero.finish()
    for process in found.started:
        if process.poll() is None:
            process.kill()
        process.communicate()
