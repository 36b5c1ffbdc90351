"""What an integration asks of the contract: whose run it is, who records what, what is imported when."""

from __future__ import annotations

import collections
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rankzero
from rankzero import plugin
from rankzero.records import Capture
from rankzero.testing import Recorded


@pytest.fixture(autouse=True)
def _own_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RANKZERO_DIR", str(tmp_path / "runs"))
    yield
    while rankzero.run is not None:
        rankzero.finish()


def test_a_run_for_a_training() -> None:
    """An integration's next run ends its last; the user's own stays open."""
    first = plugin.open_run("some", name="a")
    assert plugin.opened_here(first)
    second = plugin.open_run("some", name="b")
    assert (first.state, second.state, second.name) == ("finished", "running", "b")
    second.finish()
    mine = rankzero.init(name="mine")
    assert not plugin.opened_here(mine)
    plugin.open_run("some").finish()
    assert mine.state == "running"
    mine.finish()


def test_what_the_user_set_stands_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment variables win over what an integration suggests; empty suggestions are none."""
    monkeypatch.setenv("RANKZERO_NAME", "theirs")
    run = plugin.open_run("some", name="ours", group="g", id="")
    assert (run.name, run.group) == ("theirs", "g")


def test_claims_are_given_back() -> None:
    """The more specific integration records a quantity until it is done."""
    assert plugin.claim("test/quantity", "special", 30)
    assert not plugin.claim("test/quantity", "general", 10)
    plugin.release("test/quantity", "special")
    assert plugin.claim("test/quantity", "general", 10)
    plugin.release("test/quantity", "general")


def test_after_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every hook is called once: right after a module's import, or now if it is there."""
    (tmp_path / "awaited_by_a_test.py").write_text("value = 1")
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[int] = []
    plugin.after_import("awaited_by_a_test", lambda module: seen.append(module.value))
    plugin.after_import("awaited_by_a_test", lambda module: seen.append(module.value + 1))
    assert seen == []
    import awaited_by_a_test  # type: ignore[import-not-found]

    plugin.after_import("awaited_by_a_test", lambda module: seen.append(module.value + 2))
    assert seen == [1, 2, 3]
    del sys.modules[awaited_by_a_test.__name__]


def test_the_writer_asks_for_rows(tmp_path: Path) -> None:
    """Rows of a source keep the time and step they came with, also at the end, and leave the user's own numbers alone."""
    run = rankzero.init(settings={"console": False, "code": False})
    rows: collections.deque[tuple[float, int, str | None, dict[str, Any]]] = collections.deque()
    plugin.feed(run, lambda: [rows.popleft() for _ in range(len(rows))])
    began = time.monotonic()
    rows.extend((began + step, step, None, {"fed": float(step), "text": "late"}) for step in (7, 8))
    run.log({"mine": 1.0})
    run.flush()
    run.log({"mine": 2.0})
    rows.append((began + 9, 9, "all", {"local": 0.5}))
    journal = next((run.dir / "journal").glob("*.jsonl"))
    run.finish()
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    keys = {
        entry["id"]: entry["keys"] for entry in entries if isinstance(entry, dict) and entry.get("kind") == "columns"
    }
    found = [
        (*keys[entry[0]], entry[1], entry[3])
        for entry in entries
        if isinstance(entry, list) and entry[0] in keys and not keys[entry[0]][0].startswith("system")
    ]
    assert sorted(found) == [("fed", 7, 7.0), ("fed", 8, 8.0), ("local", 9, 0.5), ("mine", 0, 1.0), ("mine", 1, 2.0)]
    times = [entry[2] for entry in entries if isinstance(entry, list) and keys.get(entry[0]) == ["fed"]]
    assert times[1] - times[0] == pytest.approx(1e6, abs=2)


def test_the_last_rows_may_bring_a_line_of_the_report() -> None:
    """What a source finds out when it is asked for the last time stands in the capture report."""
    run = plugin.open_run("some", settings={"console": False, "code": False})
    rows = [(time.monotonic(), 1, None, {"late": 1.0})]

    def source() -> Iterator[tuple[float, int, str | None, dict[str, Any]]]:
        while rows and run.state != "running":
            plugin.report("late", "recorded", "some")
            yield rows.pop()

    plugin.feed(run, source)
    folder = run.dir
    run.finish()
    recorded = Recorded(folder)
    assert recorded.values("late") == [1.0]
    assert "late" in recorded.captured("recorded")


def test_every_run_has_a_report_of_its_own() -> None:
    """A line told of one run does not stand in the next one's report, unless it is told again."""
    settings = {"console": False, "code": False}
    plugin.report("before", "off", "some", "there is no run yet")
    first = plugin.open_run("some", settings=settings)
    for what in ("once", "again", "again"):
        plugin.report(what, "recorded", "some")
    second = plugin.open_run("some", settings=settings)
    plugin.report("again", "recorded", "some")
    folders = first.dir, second.dir
    second.finish()
    told = [
        [record.what for record in Recorded(folder).records if isinstance(record, Capture) and record.by == "some"]
        for folder in folders
    ]
    assert told == [["before", "once", "again"], ["again"]]
