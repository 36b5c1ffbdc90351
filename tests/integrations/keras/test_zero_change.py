"""Scripts that never mention rankzero, below `rankzero run`: recorded, and none the wiser."""

from __future__ import annotations

import pytest

pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import BACKEND, Root

pytestmark = pytest.mark.slow


def test_any_fit_is_recorded_and_none_the_wiser(root: Root) -> None:
    """Callbacks, history, metrics and weights, to the bit, are what they are without us; no other backend is imported."""
    below = root.script("trains.py")
    recorded = root.only()
    assert root.script("trains.py", below=False) == below
    assert BACKEND in below["backends"]
    assert sorted(set(recorded.steps("loss"))) == list(range(1, 10))
    assert recorded.values("val_loss") == pytest.approx(below["history"]["val_loss"])
    assert recorded.values("test_loss") == pytest.approx(below["test"][:1])
    assert recorded.steps("time/step") == list(range(2, 10))
    assert recorded.config["optimizer"]["class"] == "Adam"
    assert {"metrics", "optim/lr", "time/step", "time/eval", "hyperparameters"} <= recorded.captured("recorded")


def test_two_models_are_two_runs(root: Root) -> None:
    """A second model's fit is a second run."""
    root.script("trains.py", "--two")
    assert [sorted(set(run.steps("loss"))) for run in root.runs()] == [list(range(1, 10)), [1, 2, 3, 4]]
