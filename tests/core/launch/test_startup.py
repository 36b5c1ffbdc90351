"""The sitecustomize of `rankzero run`: it leaves no trace, hides no other one, and does nothing where rankzero is not."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rankzero.launch.environment import STARTUP

if TYPE_CHECKING:
    from tests.core.launch.conftest import Launcher

STATE = """
import json, os, sys
customize = sys.modules.get("sitecustomize")
print(json.dumps({
    "path": sys.path,
    "modules": sorted(name for name in sys.modules if not name.startswith("importlib")),
    "customize": getattr(customize, "__file__", None),
    "finders": [str(type(finder)) for finder in sys.meta_path],
    "importers": sorted(sys.path_importer_cache),
    "flags": list(sys.flags),
    "argv": sys.argv,
}))
"""
INSIDE = "rankzero.launch.inside"


def _states(launcher: Launcher, *python: str, **environ: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The state of an interpreter without `rankzero run` and with it."""
    alone = launcher.plainly(*python, "-c", STATE, environ=environ)
    run = launcher.run("--quiet", *python, "-c", STATE, environ=environ)
    assert (alone.returncode, run.returncode) == (0, 0), (alone.stderr, run.stderr)
    assert alone.stderr == run.stderr
    return json.loads(alone.stdout), json.loads(run.stdout)


def test_a_process_that_imports_nothing_gets_one_module(launcher: Launcher) -> None:
    """The module search is as it was; one small module of ours and its finder are there, and rankzero is not."""
    alone, run = _states(launcher, sys.executable)
    assert set(run["modules"]) - set(alone["modules"]) == {INSIDE, "__future__", "warnings"} - set(alone["modules"])
    assert len(run["finders"]) == len(alone["finders"]) + 1
    for same in ("path", "customize", "flags", "argv"):
        assert run[same] == alone[same]


@pytest.mark.parametrize("flag", ["-S", "-E", "-I", "-IS"])
def test_where_python_ignores_us(launcher: Launcher, flag: str) -> None:
    """Python -S, -E and -I are exactly as without `rankzero run`."""
    alone, run = _states(launcher, sys.executable, flag)
    assert run["modules"] == alone["modules"]
    assert run["path"] == alone["path"] or flag == "-S"  # with -S Python itself keeps PYTHONPATH and runs nothing
    assert run["finders"] == alone["finders"]


def test_another_sitecustomize_is_run(launcher: Launcher) -> None:
    """A sitecustomize further down PYTHONPATH runs as it would, and is the one that is imported."""
    other = launcher.script("import sys; sys.marked = __file__, __name__\n", "site/sitecustomize.py")
    places = f"{Path(other).parent}{os.pathsep}/nowhere"
    alone, run = _states(launcher, sys.executable, PYTHONPATH=places)
    assert [alone["customize"], run["customize"]] == [other, other]
    assert run["path"] == alone["path"]
    show = launcher.python("import sys, sitecustomize; print(sys.marked)", environ={"PYTHONPATH": places})
    assert show.stdout.decode().strip() == str((other, "sitecustomize"))


@pytest.mark.parametrize(
    "text", ["1 / 0", "import no_such_module", "raise SystemExit(9)", "def broken(:", "raise KeyboardInterrupt"]
)
def test_errors_of_another_sitecustomize_are_its_own(launcher: Launcher, text: str) -> None:
    """Whatever goes wrong in the other sitecustomize shows as it would without us."""
    folder = Path(launcher.script(text + "\n", "site/sitecustomize.py")).parent
    environ = {"PYTHONPATH": str(folder)}
    alone = launcher.plainly(sys.executable, "-c", "print('hi')", environ=environ)
    run = launcher.run("--quiet", sys.executable, "-c", "print('hi')", environ=environ)
    assert (run.returncode, run.stdout) == (alone.returncode, alone.stdout)
    assert run.stderr.splitlines()[-1:] == alone.stderr.splitlines()[-1:]


def test_a_sitecustomize_of_the_environment_is_run(launcher: Launcher) -> None:
    """One in site-packages, as distributions and proxies ship it, is found behind us."""
    venv = launcher.folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = next(venv.glob("lib/python*/site-packages"))
    (site / "sitecustomize.py").write_text("import sys; sys.marked = 1\n")
    done = launcher.run("--quiet", str(venv / "bin" / "python"), "-c", "import sys; print(sys.marked)")
    assert (done.stdout, done.stderr) == (b"1\n", b"")


def test_an_environment_without_rankzero_is_left_alone(launcher: Launcher) -> None:
    """An interpreter that has no rankzero is in every respect as without `rankzero run`, and the report says so."""
    venv = launcher.folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = str(venv / "bin" / "python")
    alone, run = _states(launcher, python)
    assert run == alone
    sentence = launcher.run(python, "-c", "pass").stderr.decode()
    assert f"the command runs {python}, and rankzero is installed for {sys.executable}" in sentence


def test_an_interpreter_named_from_the_working_folder(launcher: Launcher) -> None:
    """It is the environment's own however its path is written."""
    python = os.path.relpath(sys.executable, launcher.folder)
    assert b"rankzero is installed for" not in launcher.run(python, "-c", "pass").stderr


def _interpreters() -> list[str]:
    """Other interpreters of this machine: the system's, and whatever versions a version manager keeps."""
    kept = sorted(Path(sys.base_prefix).parent.glob("*/bin/python"))
    found = [shutil.which("python3", path="/usr/bin"), shutil.which("python2"), *map(str, kept)]
    return [each for each in found if each and Path(each).resolve() != Path(sys.executable).resolve()]


@pytest.mark.parametrize("python", _interpreters())
def test_other_interpreters_start_as_they_would(launcher: Launcher, python: str) -> None:
    """Every other Python found here, old ones too, prints and ends as without us."""
    code = "import sys; print([place for place in sys.path if 'rankzero' in place], 'sitecustomize' in sys.modules)"
    alone = launcher.plainly(python, "-c", code)
    run = launcher.run("--quiet", python, "-c", code)
    assert (run.returncode, run.stdout, run.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_the_file_is_python_that_old_interpreters_read() -> None:
    """Its syntax is that of Python 3.4 at most, without annotations; the folder holds nothing else that can be imported."""
    tree = ast.parse((STARTUP / "sitecustomize.py").read_text(), feature_version=(3, 4))
    annotated = [node for node in ast.walk(tree) if isinstance(node, ast.AnnAssign | ast.JoinedStr)]
    assert annotated == []
    compiled = {"__pycache__", "sitecustomize.pyc"}  # as Python 3 and Python 2 keep it
    assert {path.name for path in STARTUP.iterdir()} - compiled == {"sitecustomize.py"}


def test_without_a_launch_the_folder_does_nothing(launcher: Launcher) -> None:
    """The folder on PYTHONPATH alone, its variables gone, leaves nothing in the process."""
    alone = launcher.plainly(sys.executable, "-c", STATE)
    left = launcher.plainly(sys.executable, "-c", STATE, environ={"PYTHONPATH": str(STARTUP)})
    assert left.stdout == alone.stdout


def test_an_error_of_ours_is_silent(launcher: Launcher) -> None:
    """If our own start fails the program runs as without us; under test the error shows."""
    broken = launcher.folder / "broken" / "rankzero"
    broken.mkdir(parents=True)
    (broken / "__init__.py").touch()
    environ = {
        "PYTHONPATH": f"{STARTUP}{os.pathsep}{broken.parent}",
        "RANKZERO_LAUNCH": "token",
        "RANKZERO_STRICT": "0",
    }
    quiet = launcher.plainly(sys.executable, "-c", "print('hi')", environ=environ)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, b"hi\n", b"")
    loud = launcher.plainly(sys.executable, "-c", "print('hi')", environ={**environ, "RANKZERO_STRICT": "1"})
    assert loud.stdout == b"hi\n"
    assert b"inside.py" in loud.stderr
