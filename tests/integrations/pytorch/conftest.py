"""Reading back what a test recorded, straight from the journals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tests.processes import ended

import rankzero
from rankzero.testing import Recorded, folders, only

__all__ = ["Recorded", "folders", "only"]

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty root folder for runs."""
    monkeypatch.setenv("RANKZERO_DIR", str(tmp_path / "runs"))
    for name in ("CODE", "PACKAGES", "CONSOLE"):
        monkeypatch.setenv(f"RANKZERO_{name}", "0")
    return tmp_path / "runs"


@pytest.fixture
def read() -> Callable[[Path], Recorded]:
    """Reads what the one run under a root recorded."""
    return only


@pytest.fixture
def run(root: Path) -> Iterator[rankzero.Run]:
    """A run under that root; `recorded` reads it when it is over."""
    torch.manual_seed(0)
    opened = rankzero.init(project="test", dir=root)
    yield opened
    opened.finish()


@pytest.fixture
def recorded(run: rankzero.Run, root: Path) -> Callable[[], Recorded]:
    """Finish the run and read what it recorded."""

    def finish() -> Recorded:
        run.finish()
        return only(root)

    return finish


Job = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def job(root: Path) -> Job:
    """Run a command to its end, in its own processes, and return what it printed; `processes` puts torchrun in front."""

    def start(
        *command: str, processes: int = 0, below: bool = False, code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        programs = Path(sys.executable).parent
        torchrun = [str(programs / "torchrun"), "--standalone", f"--nproc-per-node={processes}"]
        python = [] if command[0].startswith("-") or not processes else torchrun
        full = [*(python or [sys.executable]), *command]
        if below:
            full = [str(programs / "rankzero"), "run", "--", *full]
        environ = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        done = ended(full, environ=environ, cwd=root.parent)
        assert done.returncode == code, done.stdout[-4000:] + done.stderr[-8000:]
        return done

    return start
