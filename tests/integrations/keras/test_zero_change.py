"""Scripts that never mention rankzero, below `rankzero run`: recorded, and none the wiser."""

from __future__ import annotations

import pytest

pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import BACKEND, Root

pytestmark = pytest.mark.slow


def test_any_fit_is_recorded_and_none_the_wiser(root: Root) -> None:
    """Callbacks, history, metrics and weights, to the bit, are what they are without us; a second model is a second run."""
    below = root.script("trains.py")
    recorded, second = root.runs()
    assert root.script("trains.py", below=False) == below
    assert len(root.runs()) == 2
    assert sorted(set(recorded.steps("loss"))) == list(range(1, 10))
    assert recorded.values("val_loss") == pytest.approx(below["history"]["val_loss"])
    assert recorded.values("test_loss") == pytest.approx(below["test"][:1])
    assert recorded.steps("time/step") == list(range(2, 10))
    assert recorded.config["optimizer"]["class"] == "Adam"
    assert {"metrics", "optim/lr", "time/step", "time/eval", "hyperparameters"} <= recorded.captured("recorded")
    assert sorted(set(second.steps("loss"))) == [1, 2, 3, 4]
    assert below["backends"] == [BACKEND] or below["backends"] == sorted({"jax", BACKEND})


def test_batches_one_by_one(root: Root) -> None:
    """A loop around `train_on_batch` is one run, each model under its own names; what it returns is what it was."""
    below = root.script("one_by_one.py", RANKZERO_LOG_EVERY="1")
    recorded = root.runs()[0]
    assert root.script("one_by_one.py", below=False) == below
    assert len(root.runs()) == 1
    losses = dict(recorded.series["loss"][0])
    assert [losses[step] for step in (1, 3, 5)] == pytest.approx([found[0] for found in below["lists"]])
    assert recorded.values("mae@2") == pytest.approx([found["mae"] for found in below["dicts"]])
    assert recorded.values("optim/lr")[:6] == pytest.approx([0.01, 0.01, 0.005, 0.005, 0.01 / 3, 0.01 / 3])
    assert recorded.steps("time/step@2") == [2, 3]
    assert recorded.steps("grad/norm@2") == [2, 3]
    assert max(losses) == 8
    assert recorded.config["optimizer"]["class"] == "SGD"
    assert {"metrics", "optim/lr", "time/step"} <= recorded.captured("recorded")
