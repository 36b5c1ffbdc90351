"""Which run a checkpoint belongs to: written where transformers and accelerate keep a training's own state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rankzero.plugin import Run

KEY = "rankzero"
FILE = "rankzero.json"
"""Beside what `Accelerator.save_state` writes."""


def run_of(state: Any) -> str:
    """The id of the run that a TrainerState was saved by; empty if it was not recorded."""
    found = (state.stateful_callbacks or {}).get(KEY)
    return str(found.get("attributes", {}).get("run", "")) if isinstance(found, dict) else ""


def sign(state: Any, run: Run) -> None:
    """Have the TrainerState say whose it is, in the form in which callbacks keep theirs."""
    state.stateful_callbacks[KEY] = {"args": {}, "attributes": {"run": run.id}}


def run_of_folder(folder: Path) -> str:
    """The id of the run that saved an Accelerator's state there; empty if it was not recorded."""
    try:
        return str(json.loads((folder / FILE).read_text(encoding="utf-8"))["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def sign_folder(folder: Path, run: Run) -> None:
    """Say whose an Accelerator's saved state is."""
    (folder / FILE).write_text(json.dumps({"run": run.id}) + "\n", encoding="utf-8")
