"""Whole jobs: real launchers below `rankzero run` or by hand, read back with the command line as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.launchers.commands import clean_environ
from tests.processes import ended, kill_tree

RANKZERO = str(Path(sys.executable).parent / "rankzero")
SCRIPTS = Path(__file__).parent / "scripts"


class Jobs:
    """A root folder of runs and the commands that fill and read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "runs"
        self.started: list[subprocess.Popen[str]] = []

    def environ(self, **more: str) -> dict[str, str]:
        """The environment of a job that records under this root."""
        base = clean_environ() | {"RANKZERO_DIR": str(self.root), "RANKZERO_STRICT": "1", "RANKZERO_CODE": "off"}
        return base | more

    def start(
        self, command: Sequence[str], *, environ: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """Start a job in the test's folder."""
        process = subprocess.Popen(
            [str(word) for word in command],
            env=self.environ(**(environ or {})),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        self.started.append(process)
        return process

    def run(
        self, *command: str | Path, code: int = 0, environ: Mapping[str, str] | None = None, timeout: float = 180
    ) -> str:
        """Run a job to its end, check its exit code and return what it printed."""
        done = ended(
            [str(word) for word in command], environ=self.environ(**(environ or {})), cwd=self.folder, timeout=timeout
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def listed(self) -> list[dict[str, Any]]:
        """All runs, as `rankzero ls --json` tells."""
        found: list[dict[str, Any]] = self._json("ls")
        return found

    def only(self) -> dict[str, Any]:
        """The one run there is."""
        found = self.listed()
        assert len(found) == 1, [(run["id"], run["state"], run["world_size"]) for run in found]
        return found[0]

    def shown(self, run: str = "latest") -> dict[str, Any]:
        """One run, as `rankzero show RUN --json` tells."""
        shown: dict[str, Any] = self._json("show", run)
        return shown

    def history(self, run: str, *keys: str) -> dict[str, Any]:
        """Series of a run, as `rankzero history RUN KEY... --json` tells."""
        found: dict[str, Any] = self._json("history", run, *keys)
        return found

    def journals(self) -> list[Path]:
        """All journals under the root."""
        return sorted(self.root.glob("*/*/journal/*.jsonl"))

    def _json(self, *command: str) -> Any:
        done = subprocess.run(
            [RANKZERO, *command, "--json", "--dir", str(self.root)],
            capture_output=True,
            text=True,
            check=False,
            env=clean_environ(),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    """An empty root folder and the means to fill it; what a failed test left running is killed."""
    made = Jobs(tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            kill_tree(process)
            process.communicate()


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False
