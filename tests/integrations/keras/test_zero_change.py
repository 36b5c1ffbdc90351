"""Scripts that never mention rankzero, below `rankzero run`: recorded, and none the wiser."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import BACKEND, Root

from rankzero.query import all_runs
from rankzero.records import Capture

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


def test_models_in_turn(root: Root) -> None:
    """An evaluation is its model's own: where that model's run is over or has not begun it is left out, and the report says so."""
    tested = root.script("in_turn.py")
    first, second = root.runs()
    assert [run.steps("test_loss") for run in (first, second)] == [[0, 2, 4], [2]]
    assert first.values("test_loss")[1:] == pytest.approx([tested[0], tested[2]])
    assert second.values("test_loss") == pytest.approx([tested[1]])
    assert [sorted(set(run.steps("loss"))) for run in (first, second)] == [[1, 2, 3, 4], [1, 2]]
    assert len(first.attempts) == 2
    lines = [
        [one.why for one in run.records if isinstance(one, Capture) and one.what == "evaluation"]
        for run in (first, second)
    ]
    assert [["another run" in why for why in whys] for whys in lines] == [[True] * 2, [True]]


def test_a_part_is_evaluated(root: Root) -> None:
    """A model that was trained as a part of another one is evaluated into that one's run."""
    assert root.script("distilled.py") == pytest.approx(root.only().values("test_loss")[0])


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


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_job_that_was_killed_within_an_epoch(root: Root, epoch: int) -> None:
    """Numbers go on where the backup's optimizer is, in the same run; of what was done after it, the second attempt's values count."""
    with pytest.raises(AssertionError):
        root.script("backed_up.py", str(epoch))
    before = json.loads((root.folder / "before.json").read_text(encoding="utf-8"))["losses"]
    backed_up = 3 * (len(before) // 3)
    after = root.script("backed_up.py", str(epoch))["losses"]
    recorded = root.only()
    assert sorted({start.attempt for start in recorded.starts}) == [1, 2]
    (view,) = all_runs(root.path)
    curve = view.series("loss")
    assert list(curve.step) == list(range(1, backed_up + len(after) + 1))
    assert list(curve.value) == pytest.approx([*before[:backed_up], *after])
