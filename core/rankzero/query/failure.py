"""What failed first in an attempt: which rank, where, and with which traceback."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rankzero.query.attempts import Attempt
from rankzero.query.strictjson import iso
from rankzero.query.verdict import Cause


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
    end = writer.end
    return Failure(
        attempt=attempt.number,
        rank=writer.rank,
        host=writer.start.host,
        time=cause.time,
        type=str(data.get("type", "")),
        message=event.message if event is not None else _without_words(cause),
        traceback=str(data.get("traceback", "")),
        exit_code=None if end is None else end.exit_code,
    )


def _without_words(cause: Cause) -> str:
    """What can be said of a process that recorded no exception."""
    end = cause.writer.end
    if end is None:
        return "the process ended without a word: killed (SIGKILL, out of memory) or its machine was lost"
    return f"the process ended with exit code {end.exit_code}"
