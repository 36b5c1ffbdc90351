"""Journals for tests that read them: written line by line, as training processes would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from rankzero.records import Columns, End, Event, Meta, Record, Start, encode, encode_rows
from rankzero.store import RunFolder, journal_name

WALL = 1_760_000_000.0

hypothesis.settings.register_profile(
    "any machine",  # the same examples everywhere, however long they take
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("any machine")


class Scribe:
    """Writes one journal. Times are in seconds since its start."""

    def __init__(self, path: Path, start: Start) -> None:
        self.path = path
        self._columns = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(start))

    def add(self, *records: Record) -> Scribe:
        """Append records."""
        return self.raw(b"".join(map(encode, records)))

    def raw(self, data: bytes) -> Scribe:
        """Append bytes."""
        with self.path.open("ab") as file:
            file.write(data)
        return self

    def rows(
        self, keys: Sequence[str], rows: Iterable[Sequence[Any]], *, local: bool = False, aside: bool = False
    ) -> Scribe:
        """Append rows `(step, seconds, *values)`."""
        self._columns += 1
        self.add(Columns(id=self._columns, keys=list(keys), local=local, aside=aside))
        return self.raw(encode_rows([[self._columns, step, int(t * 1e6), *values] for step, t, *values in rows]))

    def curve(self, key: str, values: Sequence[float], *, local: bool = False, every: float = 1.0) -> Scribe:
        """Append a value a step from step 0, one each `every` seconds, beginning after the first."""
        return self.rows([key], [(step, (step + 1) * every, value) for step, value in enumerate(values)], local=local)

    def beats(self, until: int, cpu: float = 1.0) -> Scribe:
        """Append a heartbeat a second from 0 to `until`."""
        return self.raw(encode_rows([["h", t * 1_000_000, t * cpu, None] for t in range(until + 1)]))

    def event(self, t: float, name: str, message: str = "", **data: Any) -> Scribe:
        """Append an event."""
        return self.add(Event(t=int(t * 1e6), event=name, message=message, data=data))

    def end(self, t: float, state: str = "finished", exit_code: int | None = 0, reason: str = "") -> Scribe:
        """Append the end."""
        return self.add(End(t=int(t * 1e6), state=state, exit_code=exit_code, reason=reason))


class Journals:
    """A root folder in which tests put runs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, run: str = "abc12345", project: str = "digits") -> RunFolder:
        """A run's folder."""
        return RunFolder(self.root, project, run)

    def writer(
        self,
        run: str = "abc12345",
        project: str = "digits",
        *,
        attempt: int = 1,
        rank: int = 0,
        at: float = 0.0,
        writer: str = "",
        name: str = "",
        start: Mapping[str, Any] | None = None,
    ) -> Scribe:
        """A new journal whose writer starts `at` seconds after the beginning of all tests' time, on another machine."""
        given: dict[str, Any] = {"host": f"node{rank}", "pid": 100 + rank, **(start or {})}
        first = Start(run=run, project=project, attempt=attempt, rank=rank, wall=WALL + at, **given)
        path = self.folder(run, project).journal / journal_name(attempt, writer or f"r{rank}")
        scribe = Scribe(path, first)
        return scribe.add(Meta(name=name)) if name else scribe


@pytest.fixture
def journals(tmp_path: Path) -> Journals:
    """An empty root folder."""
    return Journals(tmp_path / "root")
