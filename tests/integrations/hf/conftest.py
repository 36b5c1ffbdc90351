"""A root folder of runs for each test, and tiny trainings in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integrations.hf.roots import Root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    """An empty root folder, the one that runs of this process go to."""
    found = Root(tmp_path)
    for name, value in {"DIR": str(found.path), "CODE": "off", "PACKAGES": "off", "CONSOLE": "off"}.items():
        monkeypatch.setenv(f"RANKZERO_{name}", value)
    monkeypatch.setenv("WANDB_MODE", "disabled")  # where it is installed, "all" means it too
    monkeypatch.chdir(tmp_path)
    os.environ.pop("ACCELERATE_USE_CPU", None)
    yield found
    found.close()


@pytest.fixture
def train(root: Root) -> Callable[..., Any]:
    """Make a tiny Trainer and train it."""
    from tests.integrations.hf.tiny import trainer

    def run(folder: str = "out", resume: str | None = None, **changed: Any) -> Any:
        made = trainer(root.folder / folder, **changed)
        made.train(resume_from_checkpoint=resume)
        return made

    return run
