"""What programs read: every --json follows its schema, and says what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from tests.core.cli.conftest import Command
    from tests.core.conftest import Journals

SCHEMAS = Path(__file__).parents[3] / "docs" / "schema"


def _check(name: str, document: Any) -> Any:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)
    return document


def test_ls(finished: Journals, rankzero: Command) -> None:
    """The list of runs has each run with config, summary and usage."""
    finished.writer("zzz00000", "other", at=-5)
    document = _check("ls", rankzero.json("ls"))
    assert [run["id"] for run in document] == ["abc12345", "zzz00000"]
    run = document[0]
    assert (run["name"], run["project"], run["state"], run["exit_code"]) == ("resnet", "digits", "finished", 0)
    assert (run["world_size"], run["nodes"], run["attempts"], run["user"]) == (4, 2, 2, "ada")
    assert (run["created_at"], run["ended_at"]) == ("2025-10-09T08:53:20.000Z", "2025-10-09T08:55:41.000Z")
    assert run["config"] == {"lr": 0.1, "model": {"depth": 3, "name": "resnet"}}
    assert run["summary"]["loss"] == pytest.approx(1 / 30)
    assert run["summary"]["val/acc"] == {"max": 0.6}
    assert run["usage"]["wall_s"] == pytest.approx(81)
    assert run["usage"]["device_s"] == pytest.approx(4 * 81)
    assert sum(run["usage"]["phases"].values()) == pytest.approx(81)
    assert [run["id"] for run in rankzero.json("ls", "--project", "other")] == ["zzz00000"]


def test_ls_of_nothing(rankzero: Command) -> None:
    """Where there are no runs the list is empty."""
    assert _check("ls", rankzero.json("ls")) == []


def test_show(finished: Journals, rankzero: Command) -> None:
    """A run's document adds metrics, ranks, environment, files, capture and attempts."""
    document = _check("show", rankzero.json("show", "resnet"))
    loss = document["metrics"]["loss"]
    assert (loss["count"], loss["max"], loss["last_step"], loss["scope"]) == (30, 1.0, 29, "global")
    assert document["metrics"]["time/step"]["scope"] == "local"
    assert [(rank["rank"], rank["host"], rank["step_time"], rank["busy_time"]) for rank in document["ranks"]] == [
        (0, "node0", 1.0, 0.2),
        (1, "node1", 1.0, 0.2),
        (2, "node2", 1.0, 0.8),
        (3, "node3", 1.0, 0.2),
    ]
    assert document["ranks"][1]["series"] == ["time/step", "time/busy", "time/input"]
    assert document["slowest_rank"] == 2
    assert document["first_failure"] is None
    assert document["environment"]["command"] == ["python", "train.py"]
    assert "journal/0001-r0.jsonl" in [file["path"] for file in document["files"]]
    assert document["media"]["grad/hist/w"] == {"kind": "histogram", "count": 2, "last_step": 3}
    assert [(line["what"], line["outcome"]) for line in document["capture"]] == [("loss", "recorded"), ("amp", "off")]
    assert [attempt["state"] for attempt in document["attempts_detail"]] == ["crashed", "finished"]
    assert document["warnings"] == ["alert: validation is worse"]


def test_show_a_failure(failed: Journals, rankzero: Command) -> None:
    """The first failure is the rank that raised, with its host and traceback."""
    document = _check("show", rankzero.json("show", "broken"))
    failure = document["first_failure"]
    assert (document["state"], document["exit_code"]) == ("failed", 1)
    assert (failure["rank"], failure["host"], failure["type"]) == (3, "far", "ValueError")
    assert failure["traceback"].endswith("ValueError: bad [shape]")


def test_history(finished: Journals, rankzero: Command) -> None:
    """Per key the exact points, with the x axis that was defined; NaN is a string."""
    document = _check("history", rankzero.json("history", "latest", "loss", "val/acc", "time/busy"))
    assert document["loss"]["value"][:2] == [1.0, 0.5]
    assert document["loss"]["value"][7] == "NaN"
    assert document["loss"]["step"] == list(range(30))
    assert document["loss"]["time"][0] == 1_760_000_101.0
    assert (document["val/acc"]["x_axis"], document["val/acc"]["x"]) == ("epoch", [0.5, 1.0])
    assert document["time/busy"]["rank"][:5] == [0, 1, 2, 3, 0]


def test_history_of_media(finished: Journals, rankzero: Command) -> None:
    """Texts come as they are, histograms and images as objects."""
    document = _check("history", rankzero.json("history", "latest", "sample", "grad/hist/w", "picture"))
    assert document["sample"]["value"] == ["hello"] * 2
    assert document["grad/hist/w"]["value"][0]["counts"] == [3.0, 4.0]
    assert document["picture"]["value"][0]["path"] == "media/p.png"


@pytest.mark.parametrize("by", ["project", "user", "day", "run"])
def test_usage(finished: Journals, rankzero: Command, by: str) -> None:
    """Hours by anything sum to the same total."""
    finished.writer("zzz00000", "other", at=-5).beats(10).end(10)
    document = _check("usage", rankzero.json("usage", "--by", by))
    assert document["total"]["usage"]["wall_s"] == pytest.approx(91)
    assert sum(row["usage"]["wall_s"] for row in document["rows"]) == pytest.approx(91)
    keys = {
        "project": {"digits": 1, "other": 1},
        "user": {"ada": 1, "unknown": 1},
        "day": {"2025-10-09": 2},
        "run": {"digits/abc12345": 1, "other/zzz00000": 1},
    }
    assert {row["key"]: row["runs"] for row in document["rows"]} == keys[by]


def test_tail(finished: Journals, rankzero: Command) -> None:
    """One object per line, the state last."""
    (finished.folder().console).mkdir()
    (finished.folder().console / "0002-r1.log").write_text("one\ntwo\nunfinished")
    lines = [json.loads(line) for line in rankzero("tail", "latest", "--json", "-n", "3").splitlines()]
    for line in lines:
        _check("tail", line)
    assert [line["kind"] for line in lines] == ["row", "row", "event", "console", "console", "state"]
    assert [line["text"] for line in lines[3:5]] == ["one", "two"]
    assert lines[-1] == {"kind": "state", "state": "finished", "exit_code": 0}
    only = [json.loads(line) for line in rankzero("tail", "latest", "--json", "--rank", "0").splitlines()]
    assert {line["rank"] for line in only[:-1]} == {0}
    assert "event" in {line["kind"] for line in only}


def test_settings(rankzero: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting with its value and where that comes from."""
    monkeypatch.setenv("RANKZERO_TAGS", "a,b")
    rows = {row["name"]: row for row in _check("settings", rankzero.json("settings"))}
    assert (rows["tags"]["value"], rows["tags"]["source"]) == (["a", "b"], "environment")
    assert rows["dir"]["source"] == "option"
    assert rows["mode"] == {**rows["mode"], "value": "on", "source": "default", "variable": "RANKZERO_MODE"}


def test_doctor(rankzero: Command) -> None:
    """Every check has a status and a sentence."""
    names = [result["check"] for result in _check("doctor", rankzero.json("doctor"))]
    assert {"root", "file system", "git", "python", "torch", "activation", "gpu"} <= set(names)
