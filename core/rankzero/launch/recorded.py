"""What the processes of one `rankzero run` recorded."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rankzero.query import RunView
from rankzero.records import Capture, Start, decode_line
from rankzero.store import RunFolder, every_run, journal_name

SLACK = 600.0
"""Seconds by which a file server's clock may be behind ours."""

_CAPTURE = b'{"kind":"capture"'
_JOB = re.compile(r"^\d+-job-")


@dataclass(frozen=True, slots=True)
class Found:
    """A run to which processes of this launch, or of a launch below it, wrote.

    Attributes:
        folder: where it lies.
        starts: the first lines of the journals that they wrote, by file.
    """

    folder: RunFolder
    starts: dict[Path, Start]

    @property
    def view(self) -> RunView:
        """The run, read."""
        return RunView(self.folder)

    @property
    def attempt(self) -> int:
        """The latest attempt they made."""
        return max(start.attempt for start in self.starts.values())

    def is_led_by(self, token: str) -> bool:
        """Whether rank zero itself was started by the launch of this token, and not by one below it or beside it."""
        return any(start.rank == 0 and start.launch == token for start in self.starts.values())

    def captures(self) -> dict[str, list[Capture]]:
        """The capture report of the latest attempt, by outcome: each thing once, "recorded" winning over the others."""
        lines: dict[str, Capture] = {}
        for path, start in sorted(self.starts.items()):
            if start.attempt == self.attempt:
                for line in _captures(path):
                    if line.what not in lines or line.outcome == "recorded":
                        lines[line.what] = line
        outcomes: dict[str, list[Capture]] = {}
        for line in lines.values():
            outcomes.setdefault(line.outcome, []).append(line)
        return outcomes


def find(root: Path, token: str, since: float) -> list[Found]:
    """The runs that this launch, or launches below it, wrote to, in order of their start.

    Args:
        root: the root folder of all runs.
        token: the launch's; those below it have tokens that begin with it and a dot.
        since: when the launch began, seconds since the epoch; only folders touched since then are looked into.
    """
    found = []
    for folder in every_run(root):
        if _touched(folder) >= since - SLACK:
            starts = {path: start for path, start in _starts(folder) if f"{start.launch}.".startswith(f"{token}.")}
            if starts:
                found.append(Found(folder, starts))
    return sorted(found, key=lambda run: min(start.wall for start in run.starts.values()))


def job_journal(folder: RunFolder, attempt: int, token: str) -> Path:
    """Where `rankzero run` itself records how the job ended, if rank zero could not."""
    return folder.journal / journal_name(attempt, f"job-{token}")


def _touched(folder: RunFolder) -> float:
    """When a journal was last added to a run; 0 for a run that is being removed."""
    try:
        return folder.journal.stat().st_mtime
    except OSError:
        return 0.0


def _starts(folder: RunFolder) -> Iterator[tuple[Path, Start]]:
    for path in folder.journals():
        if not _JOB.match(path.name):
            with contextlib.suppress(OSError), path.open("rb") as file:
                start = decode_line(file.readline())
                if isinstance(start, Start):
                    yield path, start


def _captures(path: Path) -> Iterator[Capture]:
    with path.open("rb") as file:
        for line in file:
            if line.startswith(_CAPTURE):
                record = decode_line(line)
                if isinstance(record, Capture):
                    yield record
