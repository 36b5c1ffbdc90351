"""`Accelerator(log_with="rankzero")`: the contract of accelerate's trackers, as their users rely on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.integrations.hf.roots import REASON, Root

pytest.importorskip("transformers", reason=REASON)
pytest.importorskip("accelerate", reason=REASON)

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker

import rankzero
from rankzero_hf import RankZeroTracker


def _accelerator(log_with: Any = "rankzero", **given: Any) -> Any:
    return Accelerator(cpu=True, log_with=log_with, **given)


def test_by_name(root: Root) -> None:
    """The project's name, hyperparameters and values, tensors among them, at the steps given."""
    accelerator = _accelerator()
    accelerator.init_trackers("my_project", config={"lr": 0.1, "layers": [1, 2], "bf16": False})
    for step in range(3):
        accelerator.log({"loss": torch.tensor(1.0 / (step + 1)), "accuracy": step / 2}, step=step * 10)
    accelerator.end_training()
    run = root.only()
    assert (run["project"], run["state"]) == ("my_project", "finished")
    assert {"lr": 0.1, "layers": [1, 2], "bf16": False}.items() <= run["config"].items()
    assert run["points"]("loss")["step"] == [0, 10, 20]
    assert run["points"]("loss")["value"] == pytest.approx([1.0, 0.5, 1 / 3])
    assert run["points"]("accuracy")["value"] == [0.0, 0.5, 1.0]


def test_arguments_for_the_tracker(root: Root) -> None:
    """`init_kwargs={"rankzero": ...}` are arguments of `rankzero.init`."""
    accelerator = _accelerator()
    accelerator.init_trackers("p", init_kwargs={"rankzero": {"name": "first", "tags": ["a"], "group": "g"}})
    accelerator.log({"loss": 1.0}, step=0)
    accelerator.end_training()
    run = root.only()
    assert (run["name"], run["tags"], run["group"]) == ("first", ["a"], "g")


def test_an_instance(root: Root) -> None:
    """A tracker made by hand is used as it is."""
    tracker = RankZeroTracker("by_hand", name="mine")
    accelerator = _accelerator(tracker)
    accelerator.init_trackers("ignored")
    accelerator.log({"loss": 1.0})
    accelerator.end_training()
    assert (root.only()["project"], root.only()["name"]) == ("by_hand", "mine")


def test_get_tracker(root: Root) -> None:
    """`get_tracker` finds the tracker, and with `unwrap` the run."""
    accelerator = _accelerator()
    accelerator.init_trackers("p")
    assert isinstance(accelerator.get_tracker("rankzero"), RankZeroTracker)
    assert accelerator.get_tracker("rankzero", unwrap=True) is rankzero.run
    accelerator.end_training()


def test_contract() -> None:
    """What accelerate asks of a tracker's class: a name, no logging folder, only on the main process."""
    assert issubclass(RankZeroTracker, GeneralTracker)
    assert RankZeroTracker.name == "rankzero"
    assert not RankZeroTracker.requires_logging_directory
    assert RankZeroTracker.main_process_only
    with pytest.raises(AttributeError, match="init_trackers"):
        _ = RankZeroTracker("p").tracker


def test_nothing_before_start(root: Root) -> None:
    """Making an Accelerator, or a tracker, makes no run and no file."""
    _accelerator()
    RankZeroTracker("p")
    assert rankzero.run is None
    assert not root.path.exists()


def test_images_and_tables(root: Root) -> None:
    """Lists of images under each name; tables as columns and rows."""
    accelerator = _accelerator()
    accelerator.init_trackers("p")
    tracker = accelerator.get_tracker("rankzero")
    tracker.log_images({"samples": [np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.float32)]}, step=2)
    tracker.log_table("answers", columns=["question", "right"], data=[["two and two", True], ["pi", 3.14]], step=2)
    with pytest.raises(rankzero.RankZeroError, match="dataframe"):
        tracker.log_table("empty")
    folder = tracker.tracker.dir
    accelerator.end_training()
    media = root.only()["media"]
    assert {key: found["count"] for key, found in media.items()} == {"answers": 1, "samples": 2}
    (table,) = (Path(folder) / "media").glob("answers*.json")
    assert json.loads(table.read_text())["data"] == [["two and two", True], ["pi", 3.14]]


@pytest.mark.parametrize("begun", [False, True])
def test_a_loaded_state_says_which_run_goes_on(root: Root, begun: bool) -> None:
    """`load_state` after `init_trackers`: the next attempt of the run that saved it, unless another one has been recorded in."""
    accelerator = _accelerator(project_dir=root.folder)
    model = accelerator.prepare(torch.nn.Linear(2, 1))
    accelerator.init_trackers("p", config={"lr": 0.1})
    accelerator.log({"loss": 1.0}, step=1)
    accelerator.save_state("state")
    accelerator.end_training()
    again = _accelerator(project_dir=root.folder)
    model = again.prepare(torch.nn.Linear(2, 1))
    again.init_trackers("p", config={"lr": 0.2})
    if begun:
        again.log({"loss": 0.7}, step=1)
        again.get_tracker("rankzero", unwrap=True).flush()
    again.load_state("state")
    again.log({"loss": 0.5}, step=2)
    again.end_training()
    assert model is not None
    if begun:
        assert [run["attempts"] for run in root.runs()] == [1, 1]
        return
    run = root.only()
    assert (run["attempts"], run["config"]["lr"]) == (2, 0.2)
    assert run["points"]("loss")["attempt"] == [1, 2]
    assert run["summary"]["checkpoint"] == str(root.folder / "state")


def test_two_accelerators(root: Root) -> None:
    """Each has a run of its own, whichever logs; they end with their own trackers."""
    first, second = _accelerator(), _accelerator()
    first.init_trackers("a")
    second.init_trackers("b")
    for step in range(3):
        first.log({"loss": 1.0}, step=step)
        second.log({"score": 2.0}, step=step)
    first.end_training()
    second.log({"score": 3.0}, step=3)
    second.end_training()
    runs = {run["project"]: run for run in root.runs()}
    assert {"loss", "score"} & runs["a"]["metrics"].keys() == {"loss"}
    assert runs["b"]["points"]("score")["step"] == [0, 1, 2, 3]
    assert {run["state"] for run in runs.values()} == {"finished"}


def test_the_users_own_run(root: Root) -> None:
    """A run made by `rankzero.init` is the one recorded in, and `end_training` leaves it open."""
    run = rankzero.init(project="mine")
    accelerator = _accelerator()
    accelerator.init_trackers("p")
    accelerator.log({"loss": 1.0}, step=1)
    accelerator.end_training()
    assert run.state == "running"
    run.log({"after": 1.0}, step=2)
    assert root.only()["project"] == "mine"


def test_texts_and_nested_values(root: Root) -> None:
    """Texts are kept, nested dicts get dotted names, a step may be left out."""
    accelerator = _accelerator()
    accelerator.init_trackers("p")
    accelerator.log({"nested": {"a": 1, "b": 2.5}, "note": "good"})
    accelerator.log({"nested": {"a": 2}})
    accelerator.end_training()
    run = root.only()
    assert run["points"]("nested.a")["step"] == [0, 1]
    assert run["metrics"]["nested.b"]["last"] == 2.5


def test_all(root: Root) -> None:
    """`log_with="all"` includes rankzero once this package is imported, beside a tracker of the user's own."""

    class Own(GeneralTracker):  # type: ignore[misc]
        name = "own"
        requires_logging_directory = False
        tracker = None

    accelerator = _accelerator(["all", Own()], project_dir=root.folder)
    accelerator.init_trackers("p")
    assert {tracker.name for tracker in accelerator.trackers} >= {"rankzero", "own"}
    accelerator.end_training()
