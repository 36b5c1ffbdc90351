"""`log_model`: what of a Trainer's model is kept with the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integrations.hf.roots import REASON, Root

pytest.importorskip("transformers", reason=REASON)
pytest.importorskip("accelerate", reason=REASON)

from transformers import AutoModelForSequenceClassification

import rankzero
from rankzero_hf import RankZeroCallback

Train = Callable[..., Any]


def _files(root: Root) -> Path:
    root.only()
    (folder,) = [path.parent for path in root.path.glob("*/*/journal")]
    return folder / "files"


def test_nothing_is_kept_unless_asked(root: Root, train: Train) -> None:
    """By default checkpoints are paths."""
    train()
    assert not _files(root).exists()


def test_the_model_at_the_end(root: Root, train: Train) -> None:
    """With "end" the trained model lies in the run's files, as `from_pretrained` reads it."""
    made = train(report_to="none", callbacks=[RankZeroCallback(log_model="end")])
    kept = AutoModelForSequenceClassification.from_pretrained(_files(root) / "model")
    trained = made.model.state_dict()
    assert all((tensor == trained[key]).all() for key, tensor in kept.state_dict().items())


def test_the_best_model_at_the_end(root: Root, train: Train) -> None:
    """Where the Trainer loads the best model at the end, that is the one."""
    made = train(
        report_to="none",
        callbacks=[RankZeroCallback(log_model=True)],
        learning_rate=0.5,
        load_best_model_at_end=True,
    )
    best = AutoModelForSequenceClassification.from_pretrained(made.state.best_model_checkpoint).state_dict()
    kept = AutoModelForSequenceClassification.from_pretrained(_files(root) / "model").state_dict()
    assert all((kept[key] == best[key]).all() for key in best)


@pytest.mark.filterwarnings("ignore:mtime may not be reliable")
def test_every_checkpoint(root: Root, train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """RANKZERO_LOG_MODEL=checkpoint keeps each, also one that the Trainer deletes, complete enough to resume from."""
    monkeypatch.setenv("RANKZERO_LOG_MODEL", "checkpoint")
    train(save_total_limit=1)
    files = _files(root)
    assert sorted(path.name for path in files.iterdir()) == ["checkpoint-10", "checkpoint-5"]
    assert not (root.folder / "out" / "checkpoint-5").exists()
    train("again", max_steps=6, resume=str(files / "checkpoint-5"), report_to="none")


def test_a_wrong_word_is_one_sentence() -> None:
    """It says what can be written."""
    with pytest.raises(
        rankzero.RankZeroError, match='log_model=\'all\' is not known; write False, "end" or "checkpoint"'
    ):
        RankZeroCallback(log_model="all")
