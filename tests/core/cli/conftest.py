"""Runs to show, and the command as it is called in this process."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from rankzero.cli import main
from rankzero.records import Capture, Config, Define, Environment, Histogram, Media, Meta, Phase, Summary, Text

if TYPE_CHECKING:
    from tests.core.conftest import Journals


class Command:
    """Calls `rankzero` with a root folder and keeps what it printed."""

    def __init__(self, journals: Journals, capsys: pytest.CaptureFixture[str]) -> None:
        self._root = str(journals.root)
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What the command prints to stdout; it must return `code`."""
        self._capsys.readouterr()
        returned = main([*arguments, "--dir", self._root])
        out, self.stderr = self._capsys.readouterr()
        assert returned == code, self.stderr
        return out

    def json(self, *arguments: str) -> Any:
        """The document that the command prints with --json."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no strict JSON")

        return json.loads(self(*arguments, "--json"), parse_constant=refuse)


@pytest.fixture
def rankzero(journals: Journals, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, at a width of 120 characters."""
    monkeypatch.setenv("COLUMNS", "120")
    return Command(journals, capsys)


@pytest.fixture
def finished(journals: Journals) -> Journals:
    """One run of four ranks in two attempts with everything that a run can have, rank 2 the slowest."""
    for attempt, at in ((1, 0.0), (2, 100.0)):
        for rank in range(4):
            start = {"world_size": 4, "nodes": 2, "node": rank // 2, "launcher": "torchrun", "launch": "tok"}
            scribe = journals.writer(attempt=attempt, rank=rank, at=at, start=start).beats(40)
            busy = 0.8 if rank == 2 else 0.2
            times = [(step, step + 2, 1.0, busy, 0.1) for step in range(30)]
            scribe.rows(["time/step", "time/busy", "time/input"], times, local=True)
            if rank == 0:
                _rank_zero(scribe)
            if attempt == 2:
                scribe.end(41)
    return journals


def _rank_zero(scribe: Any) -> None:
    scribe.add(
        Meta(name="resnet", user="ada", tags=["small"], group="g", notes="first try", devices=1, device_kind="H100"),
        Config(values={"lr": 0.1, "model": {"depth": 3, "name": "resnet"}}),
        Environment(values={"command": ["python", "train.py"], "python": "3.11"}),
        Define(name="val/*", step_metric="epoch", summary=["max"]),
        Summary(values={"best": math.pi, "odd": "NaN"}),
        Text(t=1, step=0, key="sample", value="hello"),
        Histogram(t=2, step=3, key="grad/hist/w", edges=[0.0, 1.0, 2.0], counts=[3.0, 4.0]),
        Media(t=3, step=4, key="picture", type="image", path="media/p.png", sha256="0", size=9),
        Capture(what="loss", outcome="seen", by="torch", why="no loss yet"),
        Capture(what="loss", outcome="recorded", by="torch"),
        Capture(what="amp", outcome="off", by="torch", why="no scaler"),
        Phase(t=35_000_000, phase="evaluation"),
        Phase(t=37_000_000, phase=""),
    )
    scribe.event(36, "alert", "validation is worse")
    losses = [1 / (step + 1) for step in range(30)]
    losses[7] = math.nan
    scribe.curve("loss", losses)
    scribe.rows(["epoch", "val/acc"], [(10, 11, 0.5, 0.3), (20, 21, 1.0, 0.6)])


@pytest.fixture
def failed(journals: Journals) -> Journals:
    """One run whose rank 3 raised."""
    for rank in range(3):
        journals.writer(rank=rank, name="broken", start={"world_size": 4}).beats(5).end(5.4, "preempted", 143)
    scribe = journals.writer(rank=3, start={"world_size": 4, "host": "far"}).beats(5)
    trace = "Traceback (most recent call last):\n" + "  File x\n" * 50 + "ValueError: bad [shape]"
    scribe.event(5.1, "exception", "bad [shape]", type="ValueError", traceback=trace).end(5.2, "failed", 1)
    return journals
