"""A mistake is answered with one sentence that helps, and an exit code."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rankzero.cli import main
from rankzero.cli.checks import check_root

if TYPE_CHECKING:
    from pathlib import Path

    from tests.core.cli.conftest import Command
    from tests.core.conftest import Journals


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["show", "resnit"], 1, "there is no run 'resnit'; did you mean 'resnet'?"),
        (["show", "nowhere/resnet"], 1, "there are no runs in project 'nowhere'"),
        (["history", "latest", "los"], 1, "run 'resnet' has no metric 'los'; did you mean 'loss'?"),
        (["history", "latest", "loss", "--rank", "9"], 1, "rank 9 recorded none of these metrics"),
        (["history", "latest"], 2, "missing argument"),
        (["history", "latest", "loss", "--format", "xls"], 2, "'xls' is not one of 'csv', 'json', 'parquet'"),
        (["show", "--jsn"], 2, "rankzero show has no option --jsn; did you mean --json?"),
        (["show", "--frobnicate"], 2, "rankzero show has no option --frobnicate; `rankzero show --help` lists"),
        (["shwo"], 2, "no such command 'shwo'; did you mean 'show'?"),
        (["tail", "latest", "-n", "few"], 2, "integer"),
        (["usage", "--by", "week"], 2, "'week' is not one of"),
    ],
)
def test_one_sentence(finished: Journals, rankzero: Command, arguments: list[str], code: int, sentence: str) -> None:
    """Unknown runs, keys, options and commands name what was probably meant; nothing goes to stdout."""
    assert rankzero(*arguments, code=code) == ""
    assert sentence in rankzero.stderr
    assert rankzero.stderr.startswith("rankzero: ")
    assert rankzero.stderr.count("\n") == 1


def test_a_bad_setting_is_named(rankzero: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that cannot be used is named with what to write."""
    monkeypatch.setenv("RANKZERO_CONSOLE", "maybe")
    rankzero("ls", code=1)
    assert rankzero.stderr == "rankzero: RANKZERO_CONSOLE='maybe' cannot be used: write on or off\n"


def test_parquet_without_its_package(finished: Journals, rankzero: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyarrow is missing, the sentence holds the pip command."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    rankzero("history", "latest", "loss", "--format", "parquet", code=1)
    assert rankzero.stderr == "rankzero: Parquet needs pyarrow: pip install 'rankzero[parquet]'\n"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_that_cannot_be_written(finished: Journals, rankzero: Command, tmp_path: Path, form: str) -> None:
    """The sentence names it and says why."""
    path = tmp_path / "nowhere" / "points"
    rankzero("history", "latest", "loss", "--format", form, "--output", str(path), code=1)
    assert rankzero.stderr == f"rankzero: cannot use {path} (No such file or directory); name another place\n"


def test_a_root_that_is_no_folder(tmp_path: Path) -> None:
    """`rankzero doctor` says that no run can be written where there is a file."""
    (tmp_path / "file").touch()
    found = check_root(tmp_path / "file" / "runs")
    assert (found.status, "Not a directory" in found.message) == ("warn", True)


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing at all prints the help; the version is one line."""
    assert main([]) == 0
    assert "Commands:" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("rankzero 0.")


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    """The help and a plain listing load neither a framework nor pyarrow, and the help not even rich."""
    code = """
import sys
from rankzero.cli import main
main({arguments})
print(sorted({{name.split(".")[0] for name in sys.modules}} & {heavy}))
"""
    heavy = {"torch", "numpy", "pyarrow", "jax", "psutil"}
    for arguments, also in ((["--help"], {"rich"}), (["ls"], set[str]())):
        text = code.format(arguments=arguments, heavy=heavy | also)
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


def test_run_belongs_to_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All arguments of `rankzero run` go to the launcher as they are, and its exit code comes back."""
    monkeypatch.setenv("RANKZERO_DIR", str(tmp_path))
    monkeypatch.setenv("RANKZERO_QUIET", "1")
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from rankzero.cli import main; sys.exit(main())",
         "run", sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(7)", "--help", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (7, "['--help', '--json']\n")


def test_commands_of_other_packages(tmp_path: Path) -> None:
    """A function behind the entry point group `rankzero.commands` is a command."""
    (tmp_path / "extra.py").write_text("def hello(name: str) -> None:\n    print('hello', name)\n")
    info = tmp_path / "extra-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[rankzero.commands]\nhello = extra:hello\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from rankzero.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code, "hello", "you"], capture_output=True, text=True, check=True)
    assert done.stdout == "hello you\n"
    listed = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert "hello" in listed.stdout
