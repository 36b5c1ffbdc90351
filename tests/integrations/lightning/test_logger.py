"""The Logger contract, as Lightning's Trainers and users rely on it, with our logger in the place of theirs."""

from __future__ import annotations

import copy
import json
import pickle
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.integrations.lightning.conftest import Kit, Recorded, folders, only

import rankzero

pytest.importorskip("lightning", reason="lightning is not installed: pip install 'rankzero[lightning]'")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_fit_and_test_reach_the_logger(both: Kit, root: Path, tmp_path: Path) -> None:
    """Every metric arrives with the step that Lightning's own loggers are given, and is recorded at it."""
    history: list[tuple[int | None, list[str]]] = []

    class Remembers(both.RankZeroLogger):  # type: ignore[misc, name-defined]
        def log_metrics(self, metrics: Any, step: int | None) -> None:
            super().log_metrics(metrics, step)
            history.append((step, sorted(metrics)))

    trainer = both.trainer(tmp_path, logger=Remembers(), max_epochs=1, limit_train_batches=1, limit_val_batches=1)
    trainer.fit(both.Model())
    trainer.test(verbose=False)
    assert history == [
        (0, ["epoch", "train_loss"]),
        (0, ["epoch", "val_loss"]),
        (1, ["epoch", "test_loss"]),
    ]
    rankzero.finish()
    recorded = only(root)
    assert [recorded.steps(key) for key in ("train_loss", "val_loss", "test_loss")] == [[0], [0], [1]]


def test_metrics_and_steps_by_keyword(kit: Kit, root: Path) -> None:
    """Lightning calls by keyword; without a step the next one is used; a prefix stands before each name."""
    logger = kit.RankZeroLogger(prefix="mine")
    logger.log_metrics(metrics={"a": 1.0}, step=3)
    logger.log_metrics({"a": 2.0})
    rankzero.finish()
    assert only(root).series["mine-a"][0] == [(3, 1.0), (3, 2.0)]


def test_a_trainer_with_the_logger_can_be_pickled(both: Kit, root: Path, tmp_path: Path) -> None:
    """A copy, pickled or deep, records to the same run."""
    logger = both.RankZeroLogger(save_dir=root)
    logger.log_metrics({"a": 1.0})
    logger.save()
    pickle.dumps(logger)
    trainer = pickle.loads(pickle.dumps(both.pl.Trainer(max_epochs=1, logger=logger, accelerator="cpu")))
    trainer.logger.log_metrics({"a": 2.0})
    copy.deepcopy(logger).log_metrics({"a": 3.0})
    assert (trainer.logger.name, trainer.logger.save_dir) == (logger.name, logger.save_dir)
    assert trainer.logger.version == logger.version
    rankzero.finish()
    assert only(root).values("a") == [1.0, 2.0, 3.0]


def test_a_logger_without_a_run_can_be_pickled(kit: Kit, root: Path) -> None:
    """Pickling makes no run."""
    again = pickle.loads(pickle.dumps(kit.RankZeroLogger(project="p")))
    assert (again.name, again.version) == ("p", None)
    assert not root.exists()


def test_hyperparameters_of_every_kind(kit: Kit, root: Path) -> None:
    """Dicts, nested ones, namespaces, numpy's numbers and what cannot be kept exactly: all are in the config, readable."""
    logger = kit.RankZeroLogger()
    logger.log_hyperparams({"none": None, "dict": {"a": 1}, "list": [2, 3], "path": Path("path"), 1: 1})
    logger.log_hyperparams(Namespace(wide=np.int64(4), flag=np.bool_(1), half=np.float16(0.5), z=np.complex64(7 + 2j)))
    logger.log_hyperparams(params={"model": torch.nn.ReLU, "f": print}, metrics={"score": 0.5})
    assert not root.exists()  # they wait for the run
    logger.finalize("success")
    rankzero.finish()
    config = only(root).config
    assert config["dict"] == {"a": 1}
    assert (config["none"], config["list"], config["path"], config["1"]) == (None, [2, 3], "path", 1)
    assert (config["wide"], config["flag"], config["half"], config["z"]) == (4, True, 0.5, "<numpy.complex64 (7+2j)>")
    assert config["model"] == "<class torch.nn.modules.activation.ReLU>"


def test_hyperparameters_of_module_and_data_are_merged(kit: Kit, root: Path, tmp_path: Path) -> None:
    """What `save_hyperparameters` keeps of the module and of its data is one config; a contradiction raises as ever."""
    boring = pytest.importorskip("lightning.pytorch.demos.boring_classes")

    class Data(boring.BoringDataModule):  # type: ignore[misc, name-defined]
        def __init__(self, batch: int, lr: float) -> None:
            super().__init__()
            self.save_hyperparameters()

    kit.trainer(tmp_path, logger=kit.RankZeroLogger()).fit(kit.Model(layers={"hidden": 3}), Data(8, lr=0.1))
    with pytest.raises(RuntimeError, match="Error while merging hparams"):
        kit.trainer(tmp_path, logger=kit.RankZeroLogger()).fit(kit.Model(), Data(8, lr=0.2))
    rankzero.finish()
    first = min(folders(root), key=lambda folder: folder.stat().st_ctime)
    config = Recorded(first).config
    assert (config["lr"], config["batch"], config["layers"]) == (0.1, 8, {"hidden": 3})


def test_where_it_is(both: Kit, root: Path, tmp_path: Path) -> None:
    """Name, version and folders; checkpoints lie in the run's own folder, and nothing lies anywhere before there is a run."""
    logger = both.RankZeroLogger(project="p", save_dir=tmp_path / "elsewhere")
    assert (logger.name, logger.version, logger.save_dir) == ("p", None, str(tmp_path / "elsewhere"))
    assert not (tmp_path / "elsewhere").exists()
    trainer = both.trainer(tmp_path, logger=logger)
    assert trainer.log_dir == logger.save_dir
    trainer.fit(both.Model())
    (folder,) = folders(tmp_path / "elsewhere")
    assert (folder.parent.name, folder.name) == ("p", logger.version)
    assert (logger.root_dir, logger.log_dir) == (str(folder.parent), str(folder))
    assert trainer.checkpoint_callback.dirpath == str(folder / "checkpoints")
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["epoch=1-step=6.ckpt"]


def test_checkpoints_are_found_from_any_folder(
    kit: Kit, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their paths are absolute, however the program names their folder."""
    monkeypatch.chdir(tmp_path)
    logger = kit.RankZeroLogger()
    checkpoint = kit.pl.callbacks.ModelCheckpoint(monitor="val_loss")
    checkpoint.dirpath = "ckpt"
    kit.trainer(tmp_path, logger=logger, callbacks=[checkpoint]).fit(kit.Model())
    summary = logger.experiment.summary.as_dict()
    rankzero.finish()
    assert not Path(checkpoint.best_model_path).is_absolute()
    assert Path(summary["checkpoint/best"]) == tmp_path / checkpoint.best_model_path
    assert Path(summary["checkpoint/last"]).parent == tmp_path / "ckpt"


@pytest.mark.parametrize(("log_model", "kept"), [(False, 0), (True, 1), ("all", 2)])
def test_checkpoints(kit: Kit, root: Path, tmp_path: Path, log_model: bool | str, kept: int) -> None:
    """Paths of checkpoints are in the summary; their files are kept with the run as `log_model` says."""
    logger = kit.RankZeroLogger(log_model=log_model)
    checkpoint = kit.pl.callbacks.ModelCheckpoint(dirpath=tmp_path / "ckpt", monitor="val_loss", mode="min")
    if log_model == "all":
        checkpoint = kit.pl.callbacks.ModelCheckpoint(dirpath=tmp_path / "ckpt", save_top_k=-1)
    trainer = kit.trainer(tmp_path, logger=logger, callbacks=[checkpoint])
    trainer.fit(kit.Model())
    summary = logger.experiment.summary.as_dict()
    assert Path(summary["checkpoint/last"]).parent == tmp_path / "ckpt"
    assert summary["checkpoint/best"] == checkpoint.best_model_path
    rankzero.finish()
    files = folders(root)[0] / "files"
    assert len(list(files.glob("*.ckpt")) if files.exists() else []) == kept


def test_a_checkpoint_behind_an_address_is_kept_too(kit: Kit, root: Path, tmp_path: Path) -> None:
    """With `log_model=True` a checkpoint that lies on another file system is copied to the run's files as well."""
    checkpoint = kit.pl.callbacks.ModelCheckpoint(dirpath=f"memory://{tmp_path.name}")
    kit.trainer(tmp_path, logger=kit.RankZeroLogger(log_model=True), callbacks=[checkpoint], max_epochs=1).fit(
        kit.Model()
    )
    rankzero.finish()
    (kept,) = (folders(root)[0] / "files").glob("*.ckpt")
    assert torch.load(kept, weights_only=True)["global_step"] == 3


@pytest.mark.parametrize("status", ["success", "failed", "aborted"])
def test_finalize_with_each_status(kit: Kit, root: Path, status: str) -> None:
    """After it everything is on disk, and the logger still works."""
    logger = kit.RankZeroLogger()
    logger.log_metrics({"a": 1.0}, step=0)
    logger.finalize(status)
    assert only(root).values("a") == [1.0]
    logger.log_metrics({"a": 2.0}, step=1)
    rankzero.finish()
    assert only(root).values("a") == [1.0, 2.0]


def test_a_failed_fit_says_so(kit: Kit, root: Path, tmp_path: Path) -> None:
    """The error reaches the user as it was; the run has it too, and nothing of the fit stays in place."""

    class Fails(kit.Model):  # type: ignore[misc, name-defined]
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            if batch_idx == 1:
                raise ValueError("on purpose")
            return super().training_step(batch, batch_idx)

    with pytest.raises(ValueError, match="on purpose"):
        kit.trainer(tmp_path, logger=kit.RankZeroLogger()).fit(Fails())
    rankzero.finish()
    (event,) = only(root).events("training-failed")
    assert event.message == "ValueError: on purpose"


def test_several_loggers(kit: Kit, root: Path, tmp_path: Path) -> None:
    """Beside another logger both record; two of ours in one Trainer are two runs."""
    csv = kit.loggers.CSVLogger(tmp_path / "csv")
    loggers = [csv, kit.RankZeroLogger(name="one"), kit.RankZeroLogger(name="two")]
    trainer = kit.trainer(tmp_path, logger=loggers)
    trainer.fit(kit.Model())
    assert Path(trainer.checkpoint_callback.dirpath).is_relative_to(tmp_path / "csv")
    for logger in loggers[1:]:
        logger.experiment.finish()
    assert [len(Recorded(folder).values("train_loss")) for folder in folders(root)] == [6, 6]
    assert (Path(csv.log_dir) / "metrics.csv").exists()


def test_two_loggers_are_two_runs_and_one_logger_is_one(kit: Kit, root: Path, tmp_path: Path) -> None:
    """As a second TensorBoardLogger is a second version: a second logger is a second run, and the first one is over."""
    first = kit.RankZeroLogger()
    for _ in range(2):
        kit.trainer(tmp_path, logger=first, max_epochs=1).fit(kit.Model())
    run = first.experiment
    kit.trainer(tmp_path, logger=kit.RankZeroLogger(), max_epochs=1).fit(kit.Model())
    assert run.state == "finished"
    rankzero.finish()
    assert sorted(len(Recorded(folder).values("train_loss")) for folder in folders(root)) == [3, 6]


def test_a_run_made_by_hand_is_used(kit: Kit, root: Path, tmp_path: Path) -> None:
    """Of a run that the user has made, the logger makes no second one; `experiment` names one outright."""
    run = rankzero.init(project="mine", config={"by": "hand"})
    logger = kit.RankZeroLogger()
    kit.trainer(tmp_path, logger=logger, max_epochs=1).fit(kit.Model())
    assert logger.experiment is run
    assert (logger.name, logger.log_dir) == ("mine", str(run.dir))
    assert kit.RankZeroLogger(experiment=run).experiment is run
    rankzero.finish()
    assert only(root).config["by"] == "hand"


def test_a_given_version_is_continued(kit: Kit, root: Path) -> None:
    """`version` is the run's id: a second process with it goes on as the next attempt."""
    kit.RankZeroLogger(version="mine").log_metrics({"a": 1.0}, step=0)
    rankzero.finish()
    kit.RankZeroLogger(id="mine").log_metrics({"a": 2.0}, step=1)
    rankzero.finish()
    recorded = only(root)
    assert [start.attempt for start in recorded.starts] == [1, 2]
    assert recorded.values("a") == [1.0, 2.0]


def test_fast_dev_run_records_nothing(both: Kit, root: Path, tmp_path: Path) -> None:
    """A rehearsal leaves no run."""
    both.trainer(tmp_path, logger=both.RankZeroLogger(), fast_dev_run=2).fit(both.Model())
    assert folders(root) == []


def test_tuning_leaves_the_logger_alone(kit: Kit, root: Path, tmp_path: Path) -> None:
    """What the tuner tries is no training: nothing of it is recorded, and the logger is still the Trainer's."""
    tuning = pytest.importorskip("lightning.pytorch.tuner")
    logger = kit.RankZeroLogger()
    trainer, model = kit.trainer(tmp_path, logger=logger), kit.Model()
    tuning.Tuner(trainer).lr_find(model, num_training=5, update_attr=False)
    assert trainer.logger is logger
    trainer.fit(model)
    rankzero.finish()
    assert only(root).steps("loss") == list(range(6))


def test_images_and_texts(kit: Kit, root: Path) -> None:
    """Images and texts beside metrics; wrong arguments get a sentence."""
    logger = kit.RankZeroLogger()
    logger.log_image("samples", [np.zeros((4, 4), np.uint8), torch.zeros(3, 4, 4)], step=2, caption=["a", "b"])
    logger.log_text("note", "hello", step=2)
    with pytest.raises(TypeError, match="takes a list of images, not a str"):
        logger.log_image("samples", "no list")
    with pytest.raises(rankzero.RankZeroError, match="1 images and 2 captions"):
        logger.log_image("samples", [np.zeros((4, 4))], caption=["a", "b"])
    with pytest.raises(rankzero.RankZeroError, match="log_model='some'"):
        kit.RankZeroLogger(log_model="some")
    rankzero.finish()
    assert only(root).texts("note") == ["hello"]
    assert len(list((folders(root)[0] / "media").iterdir())) == 2


def test_tables(kit: Kit, root: Path) -> None:
    """Columns and rows of numbers, tensors and texts; neither rows nor a DataFrame gets a sentence."""
    logger = kit.RankZeroLogger()
    logger.log_table("answers", columns=["question", "right"], data=[["pi", np.float32(0.5)], ["e", torch.tensor(2)]])
    with pytest.raises(rankzero.RankZeroError, match="a list of rows, or a dataframe"):
        logger.log_table("empty")
    rankzero.finish()
    (table,) = (folders(root)[0] / "media").iterdir()
    assert json.loads(table.read_text()) == {"columns": ["question", "right"], "data": [["pi", 0.5], ["e", 2]]}


def test_fabric(kit: Kit, root: Path) -> None:
    """Fabric's loggers are the same ones."""
    fabric = pytest.importorskip("lightning.fabric").Fabric(accelerator="cpu", devices=1, loggers=kit.RankZeroLogger())
    fabric.launch()
    fabric.log("loss", torch.tensor(1.5), step=0)
    fabric.log_dict({"loss": 2.5, "lr": 0.1}, step=1)
    assert fabric.logger.experiment is rankzero.run
    rankzero.finish()
    assert only(root).series["loss"][0] == [(0, 1.5), (1, 2.5)]


def test_every_process_of_fabrics_knows_the_run(kit: Kit, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fabric tells its loggers in every process: on other ranks nothing of it is recorded, but the run is known."""
    monkeypatch.setattr(kit.pl.utilities.rank_zero_only, "rank", 1)
    logger = kit.RankZeroLogger(project="p")
    logger.log_metrics({"loss": 1.5}, step=0)
    rankzero.finish()
    assert logger.log_dir == str(root / "p" / str(logger.version))
    assert logger.version is not None
    assert "loss" not in only(root).series


def test_disabled(kit: Kit, root: Path, tmp_path: Path) -> None:
    """In mode "disabled" everything is accepted and nothing recorded."""
    kit.trainer(tmp_path, logger=kit.RankZeroLogger(mode="disabled")).fit(kit.Model())
    assert folders(root) == []


def test_names_without_a_flavor() -> None:
    """The package's own names are those of the flavor in use, and nothing else."""
    import rankzero_lightning

    assert rankzero_lightning.RankZeroLogger.__module__.startswith("rankzero_lightning.of_")
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = rankzero_lightning.Nothing
