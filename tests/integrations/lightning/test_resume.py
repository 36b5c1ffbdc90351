"""A checkpoint knows its run: who goes on from it continues that run as its next attempt."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.integrations.lightning.conftest import Kit, Recorded, folders, only

import rankzero

pytest.importorskip("lightning", reason="lightning is not installed: pip install 'rankzero[lightning]'")
pytestmark = pytest.mark.filterwarnings("ignore")


def _trained(kit: Kit, folder: Path) -> Path:
    trainer = kit.trainer(folder, logger=kit.RankZeroLogger(), max_epochs=1)
    trainer.fit(kit.Model())
    rankzero.finish()
    return Path(trainer.checkpoint_callback.best_model_path)


def test_fit_from_a_checkpoint_continues_its_run(both: Kit, root: Path, tmp_path: Path) -> None:
    """One run of two attempts, whose steps go on where the checkpoint was."""
    checkpoint = _trained(both, tmp_path)
    logger = both.RankZeroLogger()
    both.trainer(tmp_path, logger=logger).fit(both.Model(), ckpt_path=str(checkpoint))
    assert logger.version == checkpoint.parents[1].name
    rankzero.finish()
    recorded = only(root)
    assert [start.attempt for start in recorded.starts] == [1, 2]
    assert recorded.steps("loss") == list(range(6))
    assert recorded.values("progress/micro_step") == recorded.values("progress/samples") == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("same", [False, True], ids=["a new logger", "the same logger"])
def test_going_back_in_the_process_that_saved(both: Kit, root: Path, tmp_path: Path, same: bool) -> None:
    """A fit that does steps again which this process did is the next attempt too: no step is told of twice."""
    first = both.RankZeroLogger()
    trainer = both.trainer(tmp_path, logger=first)
    trainer.checkpoint_callback.save_top_k = -1
    trainer.fit(both.Model())
    checkpoint = trainer.checkpoint_callback.format_checkpoint_name({"epoch": 0, "step": 3})
    both.trainer(tmp_path, logger=first if same else both.RankZeroLogger()).fit(both.Model(), ckpt_path=checkpoint)
    rankzero.finish()
    recorded = only(root)
    assert [start.attempt for start in recorded.starts] == [1, 2]
    assert recorded.steps("loss") == [0, 1, 2, 3, 4, 5, 3, 4, 5]
    assert recorded.values("progress/micro_step") == recorded.values("progress/samples") == [1, 2, 3, 4, 5, 6, 4, 5, 6]


def test_a_version_given_by_hand_wins(kit: Kit, root: Path, tmp_path: Path) -> None:
    """Who names a run gets that run, whatever the checkpoint says."""
    checkpoint = _trained(kit, tmp_path)
    kit.trainer(tmp_path, logger=kit.RankZeroLogger(version="another")).fit(kit.Model(), ckpt_path=str(checkpoint))
    rankzero.finish()
    assert len(folders(root)) == 2


def test_another_project_is_another_run(kit: Kit, root: Path, tmp_path: Path) -> None:
    """A checkpoint of another project's run is a place to start from, not a run to continue."""
    checkpoint = _trained(kit, tmp_path)
    kit.trainer(tmp_path, logger=kit.RankZeroLogger(project="other")).fit(kit.Model(), ckpt_path=str(checkpoint))
    rankzero.finish()
    assert sorted(folder.parent.name for folder in folders(root)) == ["default", "other"]


def test_testing_a_checkpoint_is_no_resumption(kit: Kit, root: Path, tmp_path: Path) -> None:
    """`test(ckpt_path=...)` in another process is a run of its own."""
    checkpoint = _trained(kit, tmp_path)
    kit.trainer(tmp_path, logger=kit.RankZeroLogger()).test(kit.Model(), ckpt_path=str(checkpoint), verbose=False)
    rankzero.finish()
    assert len(folders(root)) == 2


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_run_named_for_the_job_wins(
    kit: Kit, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    """`rankzero run --id` stands before the checkpoint, with the logger and without."""
    checkpoint = _trained(kit, tmp_path)
    monkeypatch.setenv("RANKZERO_LAUNCH", "a-job")
    monkeypatch.setenv("RANKZERO_RUN_ID", "another")
    logger = kit.RankZeroLogger() if by_hand else False
    kit.trainer(tmp_path, logger=logger).fit(kit.Model(), ckpt_path=str(checkpoint))
    assert {folder.name for folder in folders(root)} == {checkpoint.parents[1].name, "another"}


def test_the_checkpoint_works_without_us(kit: Kit, root: Path, tmp_path: Path) -> None:
    """It loads with plain torch, safely, into a module, and into a Trainer that has no logger, with no complaint of ours."""
    checkpoint = _trained(kit, tmp_path)
    content = torch.load(checkpoint, weights_only=True)
    assert checkpoint.parents[1].name in content["rankzero"]
    kit.Model.load_from_checkpoint(checkpoint)
    kit.trainer(tmp_path, logger=False, max_epochs=2).fit(kit.Model(), ckpt_path=str(checkpoint))
    assert len(folders(root)) == 1


def test_a_checkpoint_saved_by_hand(kit: Kit, root: Path, tmp_path: Path) -> None:
    """`trainer.save_checkpoint` after the fit names the run as well; a weights-only one does no harm."""
    logger = kit.RankZeroLogger()
    trainer = kit.trainer(tmp_path, logger=logger, max_epochs=1, enable_checkpointing=False)
    trainer.fit(kit.Model())
    trainer.save_checkpoint(tmp_path / "by_hand.ckpt")
    trainer.save_checkpoint(tmp_path / "weights.ckpt", weights_only=True)
    again = kit.RankZeroLogger()
    rankzero.finish()
    kit.trainer(tmp_path, logger=again, max_epochs=1).fit(kit.Model(), ckpt_path=str(tmp_path / "by_hand.ckpt"))
    assert again.version == logger.version


def test_the_same_logger_goes_on_in_its_attempt(kit: Kit, root: Path, tmp_path: Path) -> None:
    """Going on in the same process with the same logger is neither a new run nor a new attempt."""
    logger = kit.RankZeroLogger()
    first = kit.trainer(tmp_path, logger=logger, max_epochs=1)
    first.fit(kit.Model())
    kit.trainer(tmp_path, logger=logger).fit(kit.Model(), ckpt_path=first.checkpoint_callback.best_model_path)
    rankzero.finish()
    recorded = Recorded(folders(root)[0])
    assert ([start.attempt for start in recorded.starts], recorded.steps("loss")) == ([1], list(range(6)))
    assert recorded.values("progress/samples") == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("place", ["memory://{name}", "file://{folder}"])
def test_a_checkpoint_on_another_file_system(kit: Kit, root: Path, tmp_path: Path, place: str) -> None:
    """What lies behind an address of fsspec's is looked into there: the run is continued all the same."""
    where = place.format(name=tmp_path.name, folder=tmp_path / "far")
    first, second = kit.RankZeroLogger(), kit.RankZeroLogger()
    kit.trainer(tmp_path, logger=first, max_epochs=1, enable_checkpointing=False).fit(model := kit.Model())
    model.trainer.save_checkpoint(f"{where}/by_hand.ckpt")
    rankzero.finish()
    kit.trainer(tmp_path, logger=second, enable_checkpointing=False).fit(kit.Model(), ckpt_path=f"{where}/by_hand.ckpt")
    assert second.version == first.version


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_of_an_old_format(kit: Kit, root: Path, tmp_path: Path, zipped: bool) -> None:
    """One of Lightning 2.0 and one in PyTorch's first format name their run too; one that names none begins another."""
    checkpoint = _trained(kit, tmp_path)
    content = {**torch.load(checkpoint, weights_only=False), "pytorch-lightning_version": "2.0.0"}
    torch.save(content, tmp_path / "old.ckpt", _use_new_zipfile_serialization=zipped)
    del content["rankzero"]
    torch.save(content, tmp_path / "unknown.ckpt", _use_new_zipfile_serialization=zipped)
    loggers = kit.RankZeroLogger(), kit.RankZeroLogger()
    for logger, name in zip(loggers, ("old.ckpt", "unknown.ckpt"), strict=True):
        kit.trainer(tmp_path, logger=logger).fit(kit.Model(), ckpt_path=str(tmp_path / name))
        rankzero.finish()
    assert loggers[0].version == checkpoint.parents[1].name != loggers[1].version
