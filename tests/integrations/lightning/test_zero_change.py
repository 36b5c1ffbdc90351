"""Scripts that never mention rankzero, below `rankzero run`: recorded, and none the wiser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.integrations.lightning.conftest import Command, Recorded, folders, only

from rankzero.records import Summary

pytest.importorskip("lightning", reason="lightning is not installed: pip install 'rankzero[lightning]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def _told(lines: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lines[-1])
    return found


@pytest.mark.parametrize(
    ("flavor", "logger"),
    [("lightning", "true"), ("lightning", "false"), ("lightning", "csv"), ("pytorch_lightning", "true")],
)
def test_any_trainer_is_recorded_and_none_the_wiser(command: Command, flavor: str, logger: str) -> None:
    """Callbacks, loggers, checkpoint folder, metrics and weights are what they are without us; the run holds it all.

    That is, what a logger was told by hand as well, its TensorBoard writer included, and nothing of it twice.
    """
    pytest.importorskip(flavor)
    arguments = ("--flavor", flavor, "--logger", logger)
    below = _told(command.python("trains.py", *arguments, below=True))
    files = _files(command.folder)
    for path in sorted(command.folder.iterdir()):
        if path.name != "runs":
            path.rename(command.folder / f"first-{path.name}")
    assert _told(command.python("trains.py", *arguments)) == below
    without = {path.removeprefix("first-") for path in _files(command.folder) if not path.startswith("first-")}
    assert without == files
    recorded = only(command.root)
    assert recorded.series["loss"] == recorded.series["train_loss"]
    assert recorded.steps("train_loss") == list(range(8))
    assert (recorded.steps("val_loss"), recorded.steps("test_loss")) == ([3, 7], [8])
    assert recorded.steps("time/step") == list(range(1, 8))
    assert {"optim/lr", "grad/norm", "time/eval", "throughput/samples"} <= recorded.series.keys()
    config: Any = recorded.config
    assert (config["lr"], config["trainer"]["max_epochs"], config["optimizer"]["class"]) == (0.1, 2, "SGD")
    assert {"metrics", "loss", "grad/norm", "time/step"} <= recorded.captured("recorded")
    told = {"by_hand": [3, 7]} if logger != "false" else {}
    told |= {"of_tensorboard": [3, 7]} if logger == "true" else {}
    assert {
        key: recorded.steps(key) for key in ("by_hand", "of_tensorboard", "hp_metric") if key in recorded.series
    } == told
    assert config.get("seed") == (None if logger == "false" else 0)
    (best,) = [
        r.values["checkpoint/best"]
        for r in recorded.records
        if isinstance(r, Summary) and "checkpoint/best" in r.values
    ]
    assert Path(best).name == Path(below["checkpoint"]).name


def _files(folder: Path) -> set[str]:
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {str(path).partition(".tfevents")[0] for path in found if path.parts[0] != "runs"}


def test_our_logger_and_zero_change_together(command: Command) -> None:
    """Below `rankzero run` a Trainer with our logger makes one run, every quantity in it once."""
    command.python("trains.py", "--logger", "rankzero", below=True)
    recorded = only(command.root)
    assert recorded.steps("train_loss") == recorded.steps("loss") == list(range(8))
    assert recorded.steps("time/step") == list(range(1, 8))
    assert recorded.steps("val_loss") == [3, 7]


def test_a_rehearsal_leaves_nothing(command: Command) -> None:
    """With `fast_dev_run` nothing is recorded, neither by this integration nor by that of PyTorch."""
    command.python("trains.py", "--fast-dev-run", below=True)
    assert folders(command.root) == []


def test_two_trainers_are_two_runs(command: Command) -> None:
    """As Lightning makes a second version for a second Trainer, so it is a second run; its test belongs to it."""
    command.python("trains.py", "--trainers", "2", "--epochs", "1", below=True)
    runs = [Recorded(folder) for folder in folders(command.root)]
    assert [(run.steps("train_loss"), run.steps("test_loss")) for run in runs] == [([0, 1, 2, 3], [4])] * 2


def test_plain_loops_around_a_fit(command: Command) -> None:
    """Plain PyTorch before and after is recorded by its own integration; in between it stands down."""
    command.python("trains.py", "--loop-around", "--epochs", "1", below=True)
    recorded = only(command.root)
    assert recorded.values("optim/lr") == [0.25] * 2 + [0.1] * 4 + [0.25] * 3
    assert len(recorded.values("train_loss")) == 4


def test_finding_a_learning_rate_is_no_training(command: Command) -> None:
    """What the tuner tries is not recorded."""
    command.python("trains.py", "--lr-find", "--logger", "false", below=True)
    assert only(command.root).steps("loss") == list(range(8))


def test_a_checkpoint_is_gone_on_from(command: Command) -> None:
    """A second job that starts from the first one's checkpoint is the same run's next attempt."""
    first = _told(command.python("trains.py", "--epochs", "1", below=True))
    command.python("trains.py", "--epochs", "2", "--ckpt", str(command.folder / first["checkpoint"]), below=True)
    recorded = only(command.root)
    assert [start.attempt for start in recorded.starts] == [1, 2]
    assert recorded.steps("loss") == list(range(8))


def test_a_script_outside_rankzero_run_is_left_alone(command: Command) -> None:
    """With rankzero installed and not asked for, nothing is recorded or loaded."""
    command.python("trains.py", "--epochs", "1")
    assert not command.root.exists()
