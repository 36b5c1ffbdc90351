"""Runs made in this process or by real jobs, and what was recorded."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.launchers.commands import clean_environ
from tests.processes import ended

import rankzero
from rankzero.query import all_runs, details, points

SCRIPTS = Path(__file__).parent / "scripts"
BIN = Path(sys.executable).parent
REASON = "needs the extra `hf`: make test-hf"


class Root:
    """A root folder of runs, what is in it, and the jobs that fill it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "runs"

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the oldest first, as `rankzero show --json` tells, with a function for their points."""
        self.close()
        views = sorted((view.load() for view in all_runs(self.path)), key=lambda view: str(details(view)["created_at"]))
        return [{**details(view), "points": lambda key, view=view: _lists(points(view, key))} for view in views]

    def only(self) -> dict[str, Any]:
        """The one run there is."""
        found = self.runs()
        assert len(found) == 1, [(run["id"], run["state"], run["world_size"]) for run in found]
        return found[0]

    def close(self) -> None:
        """End the run of this process."""
        rankzero.finish()

    def job(self, *command: str | Path, code: int = 0, environ: Mapping[str, str] | None = None) -> str:
        """Run a job to its end and return what it printed."""
        base = clean_environ() | {"RANKZERO_DIR": str(self.path), "RANKZERO_STRICT": "1", "RANKZERO_CODE": "off"}
        base |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        done = ended([str(word) for word in command], environ=base | dict(environ or {}), cwd=self.folder)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


def _lists(columns: dict[str, Any]) -> dict[str, Any]:
    return {key: list(found) if isinstance(found, array) else found for key, found in columns.items()}
