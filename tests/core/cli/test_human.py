"""What people read."""

from __future__ import annotations

import os
import pty
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rankzero.ranks import process_started

if TYPE_CHECKING:
    from pathlib import Path

    from tests.core.cli.conftest import Command
    from tests.core.conftest import Journals

ESCAPE = "\x1b["
BRAILLE = re.compile("[\u2801-\u28ff]")
MAIN = [sys.executable, "-c", "import sys; from rankzero.cli import main; sys.exit(main())"]


def test_show_has_everything_at_a_glance(finished: Journals, rankzero: Command) -> None:
    """State, name, place, config, curves, ranks with the slowest named, usage, capture and warnings are all there."""
    out = rankzero("show")
    for expected in (
        "● finished   resnet   digits/abc12345",
        "4 ranks on 2 nodes · torchrun · 2 attempts · exit code 0 · user ada",
        str(finished.folder().path),
        "$ python train.py",
        "model.depth",
        "loss  0.033333",
        "val/acc  0.6",
        "epoch 1",
        "best",
        "slowest: rank 2, 800.0 ms busy, the others 200.0 ms",
        "tracked 1 min 21 s · devices 5 min 24 s (H100) · processes 5 min 24 s",
        "alert: validation is worse",
        "amp (no scaler)",
        "grad/hist/w",
    ):
        assert expected in out, expected
    assert BRAILLE.search(out)
    assert re.search(r"^ +2 +node2 +finished +1\.00 s +800\.0 ms +100\.0 ms +29", out, re.MULTILINE)


def test_show_a_failure(failed: Journals, rankzero: Command) -> None:
    """The failing rank and both ends of its traceback are shown; what is in brackets is not taken for markup."""
    out = rankzero("show", "broken")
    assert "rank 3 on far" in out
    assert "Traceback (most recent call last):" in out
    assert "ValueError: bad [shape]" in out
    assert "22 lines: rankzero show abc12345 --json" in out
    assert out.count("File x") < 50


def test_ls(finished: Journals, rankzero: Command) -> None:
    """One line a run, newest first; no runs is a sentence on stderr."""
    finished.writer("zzz00000", "other", at=-5, name="vit")
    lines = rankzero("ls").splitlines()
    assert re.match(r"● finished +digits +abc12345 +resnet .* 4 on 2 nodes +2 +0$", lines[1])
    assert re.match(r"● crashed +other +zzz00000 +vit", lines[2])
    assert rankzero("ls", "--project", "none") == ""
    assert "no runs under" in rankzero.stderr


def test_history_draws_the_curve(finished: Journals, rankzero: Command) -> None:
    """The curve, its statistics and its last points."""
    out = rankzero("history", "latest", "loss", "sample")
    assert BRAILLE.search(out)
    assert "points 30  min 0.033333  max 1" in out
    assert re.search(r"^ +29 +0\.033333 ", out, re.MULTILINE)
    assert "sample: 2 texts" in out


def test_usage_with_prices_and_budgets(finished: Journals, rankzero: Command, tmp_path: Path) -> None:
    """A price table gives money; a budget that is passed is one sentence."""
    prices = tmp_path / "prices.toml"
    prices.write_text('currency = "EUR"\n[device_hour]\nH100 = 1000\n[budget]\nmoney = 50\nwall_hours = 9\n')
    out = rankzero("usage", "--by", "run", "--prices", str(prices))
    assert re.search(r"digits/abc12345 +1 +0\.022 +0\.090 +0\.090 +0\.090 .* 90\.00 EUR", out)
    assert "the budget of 50 EUR is passed: 90.00 EUR used" in out
    assert "wall-hours" not in out


def test_a_budget_for_every_project(finished: Journals, rankzero: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting limits device-hours, on a CPU process-hours, of each project, and says so once."""
    finished.writer("zzz00000", "other").beats(40).end(40)
    monkeypatch.setenv("RANKZERO_BUDGET_HOURS", "0.01")
    out = " ".join(rankzero("usage").split())
    assert "! project digits: the budget of 0.01 device-hours is passed: 0.09 device-hours used" in out
    assert out.count("project other: the budget of 0.01 process-hours") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[budget]\nmonei = 1", "the budget knows no 'monei'; did you mean money?"),
        ("x = ", "is no TOML"),
        (None, "cannot read the price table"),
    ],
)
def test_a_price_table_that_cannot_be_used(rankzero: Command, tmp_path: Path, text: str | None, sentence: str) -> None:
    """What is wrong with the file is one sentence."""
    path = tmp_path / "prices.toml"
    if text is not None:
        path.write_text(text)
    rankzero("usage", "--prices", str(path), code=1)
    assert sentence in rankzero.stderr
    assert rankzero.stderr.count("\n") == 1


def test_tail_shows_what_is_printed_and_the_latest_values(finished: Journals, rankzero: Command) -> None:
    """Console lines with their rank, then the latest values, then how the run ended."""
    finished.folder().console.mkdir()
    (finished.folder().console / "0002-r0.log").write_text("".join(f"line {n}\n" for n in range(50)))
    (finished.folder().console / "0002-r3.log").write_text("from three\n")
    out = rankzero("tail", "-n", "5")
    assert "line 44" not in out
    assert "line 45\nline 46\n" in out
    assert "[3] from three" in out
    assert "● finished, exit code 0" in out


def test_settings_and_doctor(rankzero: Command) -> None:
    """Both are tables of one line or two each."""
    assert re.search(r"^mode +RANKZERO_MODE +on +default +on, or disabled", rankzero("settings"), re.MULTILINE)
    assert re.search(r"^root +✓ ok ", rankzero("doctor"), re.MULTILINE)


def test_plain_where_there_is_no_terminal(finished: Journals, rankzero: Command) -> None:
    """Nothing but text is written to a pipe."""
    for arguments in (["ls"], ["show"], ["usage"], ["history", "latest", "loss"], ["settings"], ["tail"]):
        assert ESCAPE not in rankzero(*arguments)


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_on_a_terminal(journals: Journals, environ: dict[str, str], coloured: bool) -> None:
    """A terminal gets colours unless NO_COLOR is set."""
    journals.writer()
    ours, theirs = pty.openpty()
    full = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environ}
    done = subprocess.run([*MAIN, "ls", "--dir", str(journals.root)], stdout=theirs, env=full, check=True)
    os.close(theirs)
    printed = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "abc12345" in printed
    assert ("\x1b[31m" in printed) is coloured


def test_an_ascii_terminal_and_a_closed_pipe_are_no_errors(finished: Journals) -> None:
    """Characters that cannot be written are replaced; a reader that goes away ends the command quietly."""
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*MAIN, "show", "--dir", str(finished.root)], env=environ, capture_output=True, check=True)
    assert b"? finished" in done.stdout
    csv = [*MAIN, "history", "latest", "time/step", "--format", "csv", "--dir", str(finished.root)]
    with subprocess.Popen(csv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_tail_follows_until_the_run_ends(journals: Journals) -> None:
    """With -f new lines and rows appear as they are written, and the command ends with the run."""
    alive = {"host": socket.gethostname(), "pid": os.getpid(), "pid_started": process_started(os.getpid())}
    scribe = journals.writer(start=alive).rows(["loss"], [(0, 0.1, 9.0)])
    follow = [*MAIN, "tail", "-f", "--dir", str(journals.root)]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "step 0  loss 9\n"
        journals.folder().console.mkdir()
        (journals.folder().console / "0001-r0.log").write_text("epoch done\n")
        scribe.rows(["loss"], [(1, 1.1, 8.0), (2, 1.2, 7.0)])
        seen = {process.stdout.readline(), process.stdout.readline()}
        scribe.end(3, "failed", 3)
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert seen == {"step 2  loss 7\n", "epoch done\n"}
    assert rest.endswith("● failed, exit code 3\n")
