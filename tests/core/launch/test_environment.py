"""What `rankzero run` adds to the environment: the documented variables and no other."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rankzero.errors import SettingError
from rankzero.launch.environment import STARTUP, prepare
from rankzero.launch.options import OPTIONS

if TYPE_CHECKING:
    from tests.core.launch.conftest import Launcher

SHOW = "import json, os; print(json.dumps(dict(os.environ)))"
PAGE = Path(__file__).parents[3] / "docs" / "run.md"


def _difference(launcher: Launcher, *options: str, **environ: str) -> dict[str, str]:
    alone = json.loads(launcher.plainly(sys.executable, "-c", SHOW, environ=environ).stdout)
    run = json.loads(launcher.run(*options, "--", sys.executable, "-c", SHOW, environ=environ).stdout)
    assert set(alone) <= set(run)
    return {name: value for name, value in run.items() if alone.get(name) != value}


def test_the_command_sees_only_documented_variables(launcher: Launcher) -> None:
    """The environment differs by PYTHONPATH and RANKZERO_* variables, all of them explained in docs/run.md."""
    options = ["--quiet", "--project", "p", "--name", "n", "--tags=a,b", "--log-every", "7", "--no-console"]
    added = _difference(launcher, *options)
    assert set(added) == {
        "PYTHONPATH", "RANKZERO_ACTIVATE", "RANKZERO_CONSOLE", "RANKZERO_LAUNCH", "RANKZERO_LOG_EVERY", "RANKZERO_NAME",
        "RANKZERO_PROJECT", "RANKZERO_QUIET", "RANKZERO_TAGS",
    }  # fmt: skip
    documented = set(re.findall(r"`([A-Z_]+)`", PAGE.read_text()))
    assert set(added) | {option.variable for option in OPTIONS} <= documented
    assert added["RANKZERO_CONSOLE"] == "off"
    assert added["RANKZERO_TAGS"] == "a,b"


def test_the_root_is_absolute(launcher: Launcher) -> None:
    """RANKZERO_DIR is made absolute where the launcher stands, so that processes elsewhere find the same folder."""
    assert _difference(launcher, "--quiet", "--dir", "mine")["RANKZERO_DIR"] == str(launcher.folder / "mine")
    assert _difference(launcher, "--quiet", RANKZERO_DIR="")["RANKZERO_DIR"] == str(launcher.folder / ".rankzero")


def test_the_users_pythonpath_stays(launcher: Launcher) -> None:
    """Our folder comes first on PYTHONPATH and everything else keeps its order."""
    places = os.pathsep.join(["/b", "/a"])
    assert _difference(launcher, "--quiet", PYTHONPATH=places)["PYTHONPATH"] == f"{STARTUP}{os.pathsep}{places}"


def test_disabled_means_no_activation() -> None:
    """With RANKZERO_MODE=disabled the command gets no token and no folder on PYTHONPATH."""
    prepared = prepare({"A": "1", "RANKZERO_MODE": "disabled", "RANKZERO_DIR": "/r"}, {})
    assert prepared == {"A": "1", "RANKZERO_MODE": "disabled", "RANKZERO_DIR": "/r"}


def test_nested_launches_share_the_beginning_of_their_token() -> None:
    """Below another `rankzero run` the token begins with the outer one's, and the folder is on PYTHONPATH once."""
    outer = prepare({}, {})
    inner = prepare(outer, {})
    assert inner["RANKZERO_LAUNCH"].startswith(f"{outer['RANKZERO_LAUNCH']}.")
    assert inner["PYTHONPATH"] == outer["PYTHONPATH"] == str(STARTUP)


def test_tokens_differ() -> None:
    """Two launches never share a token."""
    assert prepare({}, {})["RANKZERO_LAUNCH"] != prepare({}, {})["RANKZERO_LAUNCH"]


def test_installed_integrations_are_named() -> None:
    """The frameworks, where their integrations are and the oldest release they support come from what is installed."""
    (least,) = re.findall(
        r"^pytorch = \[\"torch>=(.*)\"\]$", (PAGE.parents[1] / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert f"torch=rankzero_pytorch:integration@{least}" in prepare({}, {})["RANKZERO_ACTIVATE"].split(",")


def test_an_unusable_variable_is_reported_before_the_job_starts(launcher: Launcher) -> None:
    """A wrong RANKZERO_* variable costs one sentence at once, not an error in the middle of the training."""
    with pytest.raises(SettingError, match="RANKZERO_GRADIENTS"):
        prepare({"RANKZERO_GRADIENTS": "all of them"}, {})
    done = launcher.run("touch", "started", environ={"RANKZERO_GRADIENTS": "all of them"})
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1
    assert not (launcher.folder / "started").exists()


def test_grandchildren_inherit_it(launcher: Launcher) -> None:
    """A Python started by a shell started by a Python is still reached."""
    leaf = launcher.script("import sys; print('rankzero.launch.inside' in sys.modules)", "leaf.py")
    shell = f"sh -c '{sys.executable} {leaf}'"
    script = launcher.script(f"import os; os.system({shell!r})")
    assert launcher.run("--quiet", sys.executable, script).stdout == b"True\n"
