"""What failed first in an attempt: which rank, where, and with which traceback."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from rankzero.query.attempts import Attempt
from rankzero.query.strictjson import iso
from rankzero.query.writer import Writer

_FATAL = re.compile(r"^Fatal Python error: (?P<error>.+)$", re.MULTILINE)
_CURRENT_THREAD = re.compile(r"^Current thread .*\n(?:  .*\n)+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Failure:
    """The first thing that went wrong; `time` in seconds since the epoch, `traceback` empty where there is none."""

    attempt: int
    rank: int
    host: str
    time: float
    type: str
    message: str
    traceback: str
    exit_code: int | None

    def document(self) -> dict[str, Any]:
        """This failure as it stands in JSON."""
        return {**asdict(self), "time": iso(self.time)}


def first_failure(attempt: Attempt) -> Failure | None:
    """What failed first in an attempt that failed or crashed, else None."""
    cause = attempt.cause
    if cause is None or cause.state not in {"failed", "crashed"}:
        return None
    writer, event = cause.writer, cause.event
    data = event.data if event is not None else {}
    code = attempt.exit_code_of(writer)
    message, traceback = (
        (event.message, str(data.get("traceback", ""))) if event is not None else _without_words(writer, code)
    )
    return Failure(
        attempt=attempt.number,
        rank=writer.rank,
        host=writer.start.host,
        time=cause.time,
        type=str(data.get("type", "")),
        message=message,
        traceback=traceback,
        exit_code=code,
    )


def _without_words(writer: Writer, code: int | None) -> tuple[str, str]:
    """What can be said of a process that recorded no exception, and where it stood if it left its stacks."""
    if writer.end is not None:
        return f"the process ended with exit code {code}", ""
    stacks = _stacks(writer)
    fatal = _FATAL.search(stacks)
    if fatal is None:
        return "the process ended without a word: killed (SIGKILL, out of memory) or its machine was lost", ""
    current = _CURRENT_THREAD.search(stacks, fatal.end())
    return f"the process died of a fatal error: {fatal['error']}", f"{fatal[0]}\n{current[0] if current else ''}"


def _stacks(writer: Writer) -> str:
    """What a process's stack dumps say; empty if there are none."""
    path = writer.folder.stacks / f"{writer.path.stem}.txt"
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
