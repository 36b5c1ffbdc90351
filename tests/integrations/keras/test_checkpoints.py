"""Checkpoints: where they went, which run they belong to, and going on from one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import Root
from tests.integrations.keras.tiny import data, model

import rankzero
from rankzero.records import Capture
from rankzero_keras import RankZeroCallback, RankZeroModelCheckpoint

pytestmark = pytest.mark.filterwarnings("ignore")


def _steps(recorded: Any) -> list[int]:
    return sorted(set(recorded.steps("loss")))


@pytest.mark.parametrize("name", ["{epoch}.keras", "{epoch}.weights.h5"])
def test_a_fit_goes_on_as_the_next_attempt(root: Root, name: str) -> None:
    """A new job that loads a checkpoint and begins at a later epoch continues its run; steps have their numbers."""
    keeps = keras.callbacks.ModelCheckpoint(root.folder / name, save_weights_only=name.endswith("h5"))
    made = model()
    made.fit(*data(), epochs=2, batch_size=16, callbacks=[RankZeroCallback(), keeps], verbose=0)
    rankzero.finish()
    if name.endswith("keras"):
        again = keras.models.load_model(root.folder / "2.keras")
    else:
        again = model()
        again.load_weights(root.folder / "2.weights.h5")
    for mine, theirs in zip(again.get_weights(), made.get_weights(), strict=True):
        assert np.array_equal(mine, theirs)
    again.fit(*data(), epochs=3, initial_epoch=2, batch_size=16, callbacks=[RankZeroCallback()], verbose=0)
    recorded = root.only()
    assert sorted(start.attempt for start in recorded.starts) == [1, 2]
    assert _steps(recorded) == list(range(1, 13))
    assert "checkpoint" in recorded.phases()
    assert Path(recorded.summary["checkpoint/last"]).name == name.format(epoch=2)
    assert [event.data["step"] for event in recorded.events("checkpoint")] == [4, 8]
    assert recorded.values("time/checkpoint")


def test_backup_and_restore(root: Root) -> None:
    """What Keras restores by itself continues the run as well."""

    class Breaks(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise ZeroDivisionError

    def callbacks() -> list[Any]:
        return [RankZeroCallback(), keras.callbacks.BackupAndRestore(root.folder / "backup")]

    with pytest.raises(ZeroDivisionError):
        model().fit(*data(), epochs=4, batch_size=16, callbacks=[*callbacks(), Breaks()], verbose=0)
    rankzero.finish()
    model().fit(*data(), epochs=4, batch_size=16, callbacks=callbacks(), verbose=0)
    recorded = root.only()
    assert sorted(start.attempt for start in recorded.starts) == [1, 2]
    assert _steps(recorded) == list(range(1, 17))


def test_fine_tuning_is_another_run(root: Root) -> None:
    """A model that was loaded and is trained from the first epoch on has a run of its own; evaluated, it has the last one."""
    made, callback = model(), RankZeroCallback()
    made.fit(*data(), batch_size=16, callbacks=[callback], verbose=0)
    made.save(root.folder / "a.keras")
    loaded = keras.models.load_model(root.folder / "a.keras")
    loaded.evaluate(*data(), callbacks=[callback], verbose=0)
    rankzero.finish()
    loaded.fit(*data(), batch_size=16, callbacks=[RankZeroCallback()], verbose=0)
    first, second = root.runs()
    assert first.steps("test_loss") == [4]
    assert _steps(first) == [1, 2, 3, 4]
    assert _steps(second) == [5, 6, 7, 8]


@pytest.mark.parametrize("mine", [False, True])
def test_a_checkpoint_of_another_run_is_evaluated(root: Root, mine: bool) -> None:
    """Its metrics are not put down for the model that was fitted last: the report says so; a run of the user's own takes them."""
    made, callback = model(), RankZeroCallback()
    made.fit(*data(), batch_size=16, callbacks=[callback], verbose=0)
    made.save(root.folder / "a.keras")
    if mine:
        rankzero.finish()
        rankzero.init(project="mine", dir=root.path)
    else:
        model().fit(*data(), batch_size=16, callbacks=[callback], verbose=0)
    loaded = keras.models.load_model(root.folder / "a.keras")
    loaded.evaluate(*data(), callbacks=[callback], verbose=0)
    recorded = root.runs()
    assert [bool("test_loss" in one.series) for one in recorded] == [False, mine]
    lines = [one for one in recorded[1].records if isinstance(one, Capture) and one.what == "evaluation"]
    assert [("another run" in line.why) for line in lines] == ([] if mine else [True])
    assert len(recorded) == 2


class Falls(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
    """A metric whose values are known."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """See `keras.callbacks.Callback`."""
        logs["falls"] = 2.0 - epoch


@pytest.mark.parametrize(
    ("log_model", "kept"), [(True, ["3.keras"]), ("all", ["1.keras", "2.keras", "3.keras"]), (False, [])]
)
def test_files_kept_with_the_run(root: Root, log_model: Any, kept: list[str]) -> None:
    """RankZeroModelCheckpoint keeps the last file, each, or none; the best and its score are in the summary."""
    keeps = RankZeroModelCheckpoint(
        root.folder / "{epoch}.keras", monitor="falls", mode="min", save_best_only=True, log_model=log_model
    )
    model().fit(*data(), epochs=3, batch_size=16, callbacks=[Falls(), keeps, RankZeroCallback()], verbose=0)
    recorded = root.only()
    assert sorted(path.name for path in (recorded.folder / "files").glob("*.keras")) == kept
    assert Path(recorded.summary["checkpoint/best"]).name == "3.keras"
    assert recorded.summary["checkpoint/best_score"] == 0


def test_what_cannot_be_kept() -> None:
    """One clear sentence."""
    with pytest.raises(rankzero.RankZeroError, match="log_model"):
        RankZeroModelCheckpoint("a.keras", log_model="some")
