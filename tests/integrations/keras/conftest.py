"""Small models on the backend that is installed, and what was recorded of them."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.launchers.commands import clean_environ
from tests.processes import ended

import rankzero
from rankzero.testing import Recorded

SCRIPTS = Path(__file__).parent / "scripts"
BIN = Path(sys.executable).parent
BACKENDS = ("tensorflow", "jax", "torch")

if importlib.util.find_spec("keras") is not None and "keras" not in sys.modules:
    found = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
    os.environ.setdefault("KERAS_BACKEND", found[0] if found else "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
BACKEND = os.environ.get("KERAS_BACKEND", "")


class Root:
    """A root folder of runs and what is in it; `warned` is what the last script wrote to stderr."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "runs"
        self.warned = ""

    def runs(self) -> list[Recorded]:
        """All runs, those that began first first."""
        rankzero.finish()
        found = [Recorded(path.parent) for path in self.path.glob("*/*/journal")]
        return sorted(found, key=lambda recorded: min(start.wall for start in recorded.starts))

    def only(self) -> Recorded:
        """The one run there is."""
        found = self.runs()
        assert len(found) == 1, f"{len(found)} runs"
        return found[0]

    def script(
        self, name: str | Path, *arguments: str, below: bool = True, json_line: bool = True, **environ: str
    ) -> Any:
        """Run a script of this folder to its end, `below` rankzero run with no change; what its last line said, as JSON."""
        before = [str(BIN / "rankzero"), "run", "--quiet", "--"] if below else []
        command = [*before, sys.executable, str(SCRIPTS / name), *arguments]
        done = ended(command, environ=self.environ() | environ, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        self.warned = done.stderr
        return json.loads(done.stdout.splitlines()[-1]) if json_line else None

    def environ(self) -> dict[str, str]:
        """For processes that record here."""
        mine = {
            "RANKZERO_DIR": str(self.path),
            "RANKZERO_STRICT": "1",
            "RANKZERO_CODE": "off",
            "PYTHONWARNINGS": "ignore",
        }
        few = {
            "OMP_NUM_THREADS": "1",
            "KERAS_BACKEND": BACKEND,
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "CUDA_VISIBLE_DEVICES": "",
        }
        return clean_environ() | mine | few


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    """An empty root folder, the one that runs of this process go to."""
    found = Root(tmp_path)
    for name, value in {"DIR": str(found.path), "CODE": "off", "PACKAGES": "off", "CONSOLE": "off"}.items():
        monkeypatch.setenv(f"RANKZERO_{name}", value)
    monkeypatch.chdir(tmp_path)
    yield found
    rankzero.finish()
