"""The command line of `rankzero run`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rankzero.errors import UsageError
from rankzero.launch.options import OPTIONS, parse, usage

if TYPE_CHECKING:
    from tests.core.launch.conftest import Launcher

PAGE = Path(__file__).parents[3] / "docs" / "run.md"


def test_options_end_where_the_command_begins() -> None:
    """What follows the command is its own, even if it looks like an option of ours."""
    asked = parse(["--project", "p", "--tags=a,b", "--quiet", "python", "train.py", "--project", "q", "--help"])
    assert asked.variables == {"RANKZERO_PROJECT": "p", "RANKZERO_TAGS": "a,b", "RANKZERO_QUIET": "on"}
    assert asked.command == ["python", "train.py", "--project", "q", "--help"]


def test_two_dashes_begin_the_command() -> None:
    """After `--` anything is the command; a second `--` is the command's own."""
    assert parse(["--quiet", "--", "-odd", "--", "x"]).command == ["-odd", "--", "x"]


def test_a_value_may_look_like_an_option() -> None:
    """The word after an option that takes a value is its value."""
    assert parse(["--notes", "--really", "true"]).variables == {"RANKZERO_NOTES": "--really"}
    assert parse(["--notes=", "true"]).variables == {"RANKZERO_NOTES": ""}


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "needs a command, as in `rankzero run python train.py`"),
        (["--"], "needs a command"),
        (["--quiet"], "needs a command"),
        (["--prject", "p", "true"], "no option --prject; did you mean --project?"),
        (["--zzz", "true"], "`rankzero run --help` lists the options"),
        (["--name"], "--name needs a value: --name NAME"),
        (["--quiet=yes", "true"], "--quiet takes no value"),
        (["--log-every", "often", "true"], "--log-every 'often' cannot be used"),
        (["--gradients", "all", "true"], "--gradients 'all' cannot be used: write one of off, norm, params, hist"),
        (["--resume", "perhaps", "true"], "--resume 'perhaps' cannot be used: write one of allow, never, must, auto"),
    ],
)
def test_mistakes_are_one_sentence(argv: list[str], sentence: str) -> None:
    """A mistake on the command line says what to write instead."""
    with pytest.raises(UsageError) as raised:
        parse(argv)
    assert sentence in str(raised.value)


def test_a_mistake_is_status_2_and_starts_nothing(launcher: Launcher) -> None:
    """`rankzero run --wrong touch file` exits with 2, prints one line and runs nothing."""
    done = launcher.run("--wrong", "touch", "file")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert not (launcher.folder / "file").exists()


def test_help_names_every_option(launcher: Launcher) -> None:
    """--help prints the table of options and runs nothing."""
    done = launcher.run("--help")
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, usage(), b"")
    assert all(option.flag in usage() for option in OPTIONS)


def test_the_page_documents_every_option() -> None:
    """docs/run.md has one row for each option, with its variable."""
    rows = re.findall(r"^\| `(--[a-z-]+)[^|]*\| `([A-Z_]+)`", PAGE.read_text(), re.MULTILINE)
    assert rows == [(option.flag, option.variable) for option in OPTIONS]
