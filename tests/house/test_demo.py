"""The first thing a newcomer runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
EXAMPLE = ROOT / "examples" / "digits_ddp.py"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


def _run(folder: Path, *command: str) -> str:
    environ = {**os.environ, "RANKZERO_DIR": str(folder / "runs"), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    environ["PATH"] = f"{BIN}{os.pathsep}{environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the example has run, for three epochs, on two ranks."""
    folder = tmp_path_factory.mktemp("demo")
    _run(folder, "rankzero", "run", "torchrun", "--nproc-per-node=2", str(EXAMPLE), "--epochs", "3")
    return folder


def _json(folder: Path, *arguments: str) -> Any:
    return json.loads(_run(folder, "rankzero", *arguments, "--json"))


def test_the_example_is_an_ordinary_script() -> None:
    """The example never mentions rankzero."""
    assert "rankzero" not in EXAMPLE.read_text(encoding="utf-8").lower()


def test_the_job_is_one_run(demo: Path) -> None:
    """Two processes under torchrun are one run that finished, of world size two."""
    (run,) = _json(demo, "ls")
    assert (run["state"], run["exit_code"], run["world_size"], run["nodes"]) == ("finished", 0, 2, 1)


def test_the_run_holds_what_a_newcomer_looks_for(demo: Path) -> None:
    """Loss, learning rate, gradient norm and both ranks' step times are recorded, and the arguments are the config."""
    shown = _json(demo, "show", "latest")
    assert {"loss", "optim/lr", "grad/norm", "time/step"} <= set(shown["metrics"])
    assert len(shown["ranks"]) == 2
    assert "'epochs': 3" in str(shown["config"])
    assert shown["metrics"]["loss"]["count"] == 3 * 22


def test_a_person_can_read_it(demo: Path) -> None:
    """`rankzero show latest` prints the curves' names, the ranks and the hours."""
    page = _run(demo, "rankzero", "show", "latest")
    assert [word for word in ("loss", "optim/lr", "grad/norm", "finished", "rank") if word not in page] == []
