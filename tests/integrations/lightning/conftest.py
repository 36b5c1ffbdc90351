"""Small Trainers of either flavor, and reading back what they recorded."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.integrations.pytorch.conftest import Recorded, folders, only
from tests.launchers.commands import clean_environ
from tests.processes import ended

import rankzero

__all__ = ["Recorded", "folders", "only"]

SCRIPTS = Path(__file__).parent / "scripts"
BIN = Path(sys.executable).parent
FLAVORS = {"lightning": "lightning.pytorch", "pytorch_lightning": "pytorch_lightning"}


class Kit(SimpleNamespace):
    """Lightning's names and ours for one flavor, and a Trainer with nothing that takes time or prints."""

    def trainer(self, folder: Path, **options: Any) -> Any:
        """A Trainer of three batches and two epochs on CPU."""
        usual = {
            "default_root_dir": folder, "accelerator": "cpu", "devices": 1, "max_epochs": 2, "limit_train_batches": 3,
            "limit_val_batches": 2, "limit_test_batches": 2, "log_every_n_steps": 1, "enable_progress_bar": False,
            "enable_model_summary": False, "num_sanity_val_steps": 0,
        }  # fmt: skip
        return self.pl.Trainer(**{**usual, **options})


def kit_of(flavor: str) -> Kit:
    """The kit of a flavor; skips where it is not installed."""
    pytest.importorskip(flavor, reason=f"{flavor} is not installed: pip install {flavor.replace('_', '-')}")
    ours = importlib.import_module(f"rankzero_lightning.of_{flavor}")
    boring = importlib.import_module(f"{FLAVORS[flavor]}.demos.boring_classes").BoringModel

    class Model(boring):  # type: ignore[misc, valid-type]
        """Logs one metric of each stage."""

        def __init__(self, lr: float = 0.1, layers: Any = None) -> None:
            super().__init__()
            self.save_hyperparameters()

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)["loss"]
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_loss", super().validation_step(batch, batch_idx)["x"])

        def test_step(self, batch: Any, batch_idx: int) -> None:
            self.log("test_loss", super().test_step(batch, batch_idx)["y"])

    return Kit(
        name=flavor,
        pl=importlib.import_module(FLAVORS[flavor]),
        loggers=importlib.import_module(f"{FLAVORS[flavor]}.loggers"),
        RankZeroLogger=ours.RankZeroLogger,
        RankZeroCallback=ours.RankZeroCallback,
        BoringModel=boring,
        Model=Model,
    )


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty root folder for runs; whatever run is open afterwards is finished."""
    monkeypatch.setenv("RANKZERO_DIR", str(tmp_path / "runs"))
    for name in ("CODE", "PACKAGES", "CONSOLE"):
        monkeypatch.setenv(f"RANKZERO_{name}", "0")
    torch.manual_seed(0)
    yield tmp_path / "runs"
    rankzero.finish()


@pytest.fixture(params=list(FLAVORS))
def both(request: pytest.FixtureRequest) -> Kit:
    """Each flavor in turn."""
    return kit_of(request.param)


@pytest.fixture
def kit() -> Kit:
    """The flavor `lightning`."""
    return kit_of("lightning")


class Command:
    """Runs scripts of this folder in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "runs"

    def python(
        self, script: str, *arguments: str, fails: bool = False, below: bool = False, **environ: str
    ) -> list[str]:
        """What a script printed, line by line; `below` runs it with no change under `rankzero run`."""
        before = [str(BIN / "rankzero"), "run", "--quiet"] if below else []
        command = [*before, sys.executable, str(SCRIPTS / script), *arguments]
        usual = {"RANKZERO_DIR": str(self.root), "RANKZERO_STRICT": "1", "RANKZERO_CODE": "off", "OMP_NUM_THREADS": "1"}
        path = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        done = ended(command, environ=clean_environ() | usual | path | environ, cwd=self.folder)
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout.splitlines()


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs scripts in an empty folder."""
    return Command(tmp_path)
