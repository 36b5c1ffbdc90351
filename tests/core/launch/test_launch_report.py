"""What `rankzero run` says at the end, and what it adds to a run that could not say how it ended."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from rankzero.launch.report import duration
from rankzero.query import all_runs

if TYPE_CHECKING:
    from tests.core.launch.conftest import Launcher

TRAIN = "import framework; framework.train(loss=1.0)\n"
BY_HAND = "import rankzero; run = rankzero.init(name='by-hand'); run.log({'loss': 1.0})\n"


def _report(done: object) -> list[str]:
    text: bytes = getattr(done, "stderr", b"")
    lines = text.decode().splitlines()
    first = next((index for index, line in enumerate(lines) if line.startswith("rankzero: ")), len(lines))
    return lines[first:]


def test_the_report_as_json(launcher: Launcher) -> None:
    """With --json the last line of standard output is a list of the runs, and nothing is said on stderr."""
    done = launcher.run("--json", sys.executable, "-c", BY_HAND + "print('the job itself')\n")
    first, last = done.stdout.decode().splitlines()
    assert first == "the job itself"
    (run,) = json.loads(last)
    assert (run["name"], run["state"], run["metrics"]["loss"]["last"]) == ("by-hand", "finished", 1.0)
    assert _report(done) == []


def test_a_run_and_what_was_captured(launcher: Launcher, framework: dict[str, str]) -> None:
    """Name, id, state and duration; where it lies; what was recorded, what not, what is off, and why; where to look."""
    done = launcher.run("--name", "mine", sys.executable, "-c", TRAIN, environ=framework)
    (run,) = all_runs(launcher.root)
    head, *rest = _report(done)
    assert re.fullmatch(rf"rankzero: mine \({run.id}\) finished after \d+\.\d s", head)
    assert rest == [
        f"  in        {run.folder.path}",
        "  recorded  loss",
        "  not       grad/norm, seen by framework: it has no gradients",
        "  off       weight/norm: --gradients is norm",
        f"  see       rankzero show {run.id}",
    ]


def test_quiet_says_nothing(launcher: Launcher, framework: dict[str, str]) -> None:
    """--quiet, or RANKZERO_QUIET, leaves standard error to the command; the run is there all the same."""
    done = launcher.run("--quiet", sys.executable, "-c", TRAIN, environ=framework)
    assert done.stderr == b""
    assert len(all_runs(launcher.root)) == 1


def test_a_run_made_by_hand_is_reported(launcher: Launcher) -> None:
    """A program that calls rankzero.init() itself is found as well."""
    head, *rest = _report(launcher.run(sys.executable, "-c", BY_HAND))
    assert re.fullmatch(r"rankzero: by-hand \(\w+\) finished after \d+\.\d s", head)
    assert rest[-1].startswith("  see       rankzero show ")


def test_a_failed_run_names_the_error(launcher: Launcher) -> None:
    """The rank, its host and the exception that ended the run, and the command's own exit status."""
    done = launcher.run(sys.executable, "-c", BY_HAND + "raise ValueError('boom')")
    report = _report(done)
    assert done.returncode == 1
    assert " failed after " in report[0]
    assert report[2].startswith("  failed    rank 0 on ")
    assert report[2].endswith(": ValueError: boom")


QUOTED = (
    "a callback failed: Traceback (most recent call last):\\n" + "  File 'train.py'\\n" * 100 + "ValueError: bad batch"
)


def test_a_failure_that_quotes_another_tells_both(launcher: Launcher) -> None:
    """An error whose text is the traceback of a callback or a worker: the line ends with what went wrong there."""
    done = launcher.run(sys.executable, "-c", BY_HAND + f'raise RuntimeError("{QUOTED}")')
    assert _report(done)[2].endswith(": RuntimeError: a callback failed: ValueError: bad batch")


def test_several_runs(launcher: Launcher) -> None:
    """Every run of the job is listed; from four on one line each."""
    script = launcher.script("import sys, rankzero; rankzero.init(name=sys.argv[1]).log({'loss': 1.0})")
    for count in (2, 4):
        shell = "; ".join(f"{sys.executable} {script} n{number}" for number in range(count))
        report = _report(launcher.run("sh", "-c", shell))
        heads = [line for line in report if line.startswith("rankzero: ")]
        assert [line.split()[1] for line in heads] == [f"n{number}" for number in range(count)]
        assert ("  see       rankzero ls" in report) == (count == 4)
        assert ("  in " in "\n".join(report)) == (count == 2)


def test_runs_of_earlier_launches_are_not_repeated(launcher: Launcher) -> None:
    """Only what this launch recorded is reported."""
    launcher.run(sys.executable, "-c", BY_HAND)
    assert "nothing was recorded" in _report(launcher.run("true"))[0]


def test_a_continued_run_says_which_attempt(launcher: Launcher) -> None:
    """A run of the same id is continued, and the report counts."""
    launcher.run("--id", "mine", sys.executable, "-c", BY_HAND)
    assert _report(launcher.run("--id", "mine", sys.executable, "-c", BY_HAND))[0].endswith(", attempt 2")
    assert len(all_runs(launcher.root)) == 1


def test_of_nested_launches_the_inner_one_reports(launcher: Launcher) -> None:
    """`rankzero run ... rankzero run python train.py`: one report, from the launch next to the training."""
    done = launcher.run(*launcher.rankzero_run, sys.executable, "-c", BY_HAND)
    assert done.stderr.count(b"rankzero: ") == 1
    (run,) = all_runs(launcher.root)
    assert f"rankzero: by-hand ({run.id}) finished" in done.stderr.decode()


def test_launches_of_other_ranks_are_silent(launcher: Launcher) -> None:
    """Where each process has its own `rankzero run` (mpirun rankzero run ...), rank zero's alone reports."""
    script = launcher.script(BY_HAND + "run.log({'time': 1.0}, ranks='all')")
    ours = f"WORLD_SIZE=2 RANK=%d LOCAL_RANK=%d {shlex.join(launcher.rankzero_run)} {sys.executable} {script}"
    done = launcher.plainly("sh", "-c", " & ".join(ours % (rank, rank) for rank in (0, 1)) + " & wait")
    assert done.stderr.count(b"rankzero: ") == 1, done.stderr.decode()
    assert b", 2 ranks" in done.stderr


def test_a_killed_job_gets_its_exit_code(launcher: Launcher) -> None:
    """If rank zero is killed, `rankzero run` adds the exit code that it alone knows; the run stays crashed."""
    done = launcher.run(sys.executable, "-c", BY_HAND + "run.flush(); import os; os.kill(os.getpid(), 9)")
    assert done.returncode == -9
    (run,) = all_runs(launcher.root)
    assert " crashed after " in _report(done)[0]
    assert (run.state, run.exit_code, run.last_attempt.ranks) == ("crashed", 137, [0])


@pytest.mark.parametrize(
    ("rest", "state", "code"),
    [
        ("raise SystemExit(3)", "failed", 3),
        ("raise SystemExit('a sentence')", "failed", 1),
        ("import sys\ntry: sys.exit(1)\nexcept SystemExit: pass", "finished", 0),
        (
            "import sys\ntry: raise KeyboardInterrupt\nexcept BaseException:\n  try: sys.exit(1)\n  except SystemExit: pass",
            "finished",
            0,
        ),
        ("import atexit, os; atexit._run_exitfuncs(); os.abort()", "crashed", 134),
        ("run.finish()\nraise SystemExit(3)", "finished", 0),
        ("run.finish(exit_code=2)", "failed", 2),
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', 'raise SystemExit(4)'])", "finished", 0),
    ],
)
def test_the_command_has_the_last_word(launcher: Launcher, rest: str, state: str, code: int) -> None:
    """An end that the process could not hear of, or took to be coming and was not, is set right; an end by hand stays."""
    done = launcher.run(sys.executable, "-c", BY_HAND + rest)
    (run,) = all_runs(launcher.root)
    assert f" {state} after " in _report(done)[0]
    assert (run.state, run.exit_code, run.last_attempt.ranks) == (state, code, [0])
    failure = run.first_failure
    assert (failure.exit_code if failure else 0) == code


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["true"], "no Python process that has rankzero installed took a training step with "),
        ([sys.executable, "-c", "pass"], "no Python process that has rankzero installed took a training step with "),
        ([sys.executable, "-I", "-c", "pass"], "python -I isolates itself, and with it rankzero"),
        ([sys.executable, "-uE", "-c", "pass"], "python -E ignores the environment, and with it rankzero"),
        ([sys.executable, "-XfrozenI", "-S", "-c", "0"], "python -S does not run sitecustomize, and with it rankzero"),
        ([sys.executable, "-W", "ignore", "-c", "0"], "took a training step with"),
    ],
)
def test_nothing_recorded_says_why(launcher: Launcher, command: list[str], sentence: str) -> None:
    """One sentence, the likeliest reason."""
    (line,) = _report(launcher.run(*command))
    assert line.startswith("rankzero: nothing was recorded: ")
    assert sentence in line


def test_disabled_is_silent(launcher: Launcher) -> None:
    """With RANKZERO_MODE=disabled nothing is recorded and nothing is said about it."""
    done = launcher.run(sys.executable, "-c", BY_HAND, environ={"RANKZERO_MODE": "disabled"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert not launcher.root.exists()


def test_what_cannot_be_read_is_passed_over(launcher: Launcher) -> None:
    """Folders that are no runs and journals that cannot be read disturb neither the report nor the status."""
    garbage = launcher.root / "p" / "r" / "journal"
    (garbage / "0001-r0.jsonl").mkdir(parents=True)
    (garbage / "0001-r1.jsonl").write_bytes(b"\0" * 100)
    os.mkfifo(garbage / "pipe")
    done = launcher.run("sh", "-c", "exit 4")
    assert done.returncode == 4
    assert "nothing was recorded" in _report(done)[0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.3, "59.3 s"), (59.9, "1 min 0 s"), (200, "3 min 20 s"), (18420, "5 h 7 min")],
)
def test_durations(seconds: float, text: str) -> None:
    """Durations are for people."""
    assert duration(seconds) == text
