"""What a fit records besides the user's metrics: the same numbers as by hand, at Lightning's own steps, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.integrations.lightning.conftest import Kit, Recorded, folders, only

import rankzero

pytest.importorskip("lightning", reason="lightning is not installed: pip install 'rankzero[lightning]'")
pytestmark = pytest.mark.filterwarnings("ignore")


def _fit(kit: Kit, root: Path, folder: Path, model: Any, **options: Any) -> Recorded:
    kit.trainer(folder, logger=kit.RankZeroLogger(), **options).fit(model)
    rankzero.finish()
    return only(root)


def test_a_row_for_each_batch_that_stepped(both: Kit, root: Path, tmp_path: Path) -> None:
    """Loss, learning rate and Lightning's own axes are at the step at which the user's metric of that batch is."""
    recorded = _fit(both, root, tmp_path, both.Model())
    assert recorded.series["loss"] == recorded.series["train_loss"]
    assert recorded.steps("loss") == list(range(6))
    assert recorded.values("optim/lr") == [0.1] * 3 + [pytest.approx(0.01)] * 3
    assert recorded.values("trainer/global_step") == [1, 2, 3, 4, 5, 6]
    assert recorded.values("progress/micro_step") == [1, 2, 3, 4, 5, 6]
    assert recorded.values("progress/samples") == [1, 2, 3, 4, 5, 6]
    assert recorded.values("progress/epoch") == [0, 0, 0, 1, 1, 1]
    assert recorded.steps("val_loss") == [2, 5]


def test_time_of_the_rank(kit: Kit, root: Path, tmp_path: Path) -> None:
    """Step times are this rank's own; evaluation and checkpoints are accounted for as such, and timed."""
    recorded = _fit(kit, root, tmp_path, kit.Model())
    assert {"time/step", "time/input", "time/eval", "time/checkpoint"} <= recorded.local
    assert recorded.steps("time/step") == [1, 2, 3, 4, 5]
    assert all(
        0 <= waited <= step
        for waited, step in zip(recorded.values("time/input"), recorded.values("time/step"), strict=True)
    )
    assert len(recorded.values("time/eval")) == 2
    assert recorded.phases() == ["evaluation", "", "checkpoint", ""] * 2


def test_the_config(kit: Kit, root: Path, tmp_path: Path) -> None:
    """Hyperparameters, the Trainer's arguments, optimizer, schedule and the model's layout are the config."""
    config: Any = _fit(kit, root, tmp_path, kit.Model(lr=0.5), gradient_clip_val=0.3).config
    assert config["lr"] == 0.5
    assert (config["trainer"]["max_epochs"], config["trainer"]["gradient_clip_val"]) == (2, 0.3)
    assert (config["optimizer"]["class"], config["optimizer"]["lr"]) == ("SGD", 0.1)
    assert (config["lr_scheduler"]["class"], config["lr_scheduler"]["interval"]) == ("StepLR", "epoch")
    assert (config["model"]["parameters"], config["model"]["layers"]) == (66, [["layer", "Linear", 66]])


def test_the_gradient_is_what_the_optimizer_uses(kit: Kit, root: Path, tmp_path: Path) -> None:
    """The norm after clipping, and the one before it, are those found by hand."""
    norms: list[float] = []

    class Measures(kit.Model):  # type: ignore[misc, name-defined]
        def on_before_optimizer_step(self, optimizer: Any) -> None:
            norms.append(float(torch.cat([p.grad.flatten() for p in self.parameters()]).norm()))

    options = kit.RankZeroCallback(log_freq=1)
    recorded = _fit(kit, root, tmp_path, Measures(), gradient_clip_val=0.5, callbacks=[options])
    assert recorded.values("grad/norm_unclipped") == pytest.approx(norms, rel=1e-5)
    assert recorded.values("grad/norm") == pytest.approx([min(norm, 0.5) for norm in norms], rel=1e-3)
    assert recorded.steps("grad/norm") == list(range(6))
    assert len(recorded.values("grad/norm/layer.weight")) == 6


def test_the_last_step_is_sampled_though_a_part_is_not_trained(kit: Kit, root: Path, tmp_path: Path) -> None:
    """Parameters that no optimizer has are waited for until the fit is over, and no longer."""

    class Head(kit.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body = torch.nn.Linear(2, 2)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.layer.parameters(), lr=0.1)

    recorded = _fit(kit, root, tmp_path, Head(), callbacks=[kit.RankZeroCallback(log_freq=1)])
    assert recorded.steps("grad/norm") == list(range(6))


def test_the_callback_says_what_to_record(kit: Kit, root: Path, tmp_path: Path) -> None:
    """Parameters, the largest gradients, update ratios and histograms on request; nothing of them with None."""
    with pytest.raises(rankzero.RankZeroError, match="log='everything'"):
        kit.RankZeroCallback(log="everything")
    options = kit.RankZeroCallback(log="all", log_freq=2, histograms=True)
    recorded = _fit(kit, root, tmp_path, kit.Model(), callbacks=[options])
    for quantity in ("grad/max", "weight/norm", "update/ratio"):
        assert recorded.steps(f"{quantity}/layer.weight") == [0, 2, 4]
    assert len(recorded.histograms("grad/hist/layer.weight")) == 3


def test_the_callback_alone_makes_a_run(both: Kit, root: Path, tmp_path: Path) -> None:
    """Without a logger of ours the callback records the fit, the user's metrics included, and moves no checkpoint."""
    trainer = both.trainer(tmp_path, logger=False, callbacks=[both.RankZeroCallback(log=None)])
    trainer.fit(both.Model(lr=0.25))
    trainer.test(verbose=False)
    rankzero.finish()
    recorded = only(root)
    assert recorded.steps("train_loss") == list(range(6))
    assert recorded.steps("test_loss") == [6]
    assert recorded.config["lr"] == 0.25
    assert "grad/norm" not in recorded.series
    assert trainer.checkpoint_callback.dirpath == str(tmp_path / "checkpoints")


@pytest.mark.parametrize("launch", ["", "a-job"])
def test_each_trainer_is_a_run(
    kit: Kit, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launch: str
) -> None:
    """With the callback alone, with a logger, in turn, below `rankzero run` or not: a logger's run is named and placed as it says."""
    monkeypatch.setenv("RANKZERO_LAUNCH", launch)
    options: dict[str, Any] = {"max_epochs": 1, "enable_checkpointing": False}
    for logger in (False, kit.RankZeroLogger(project="p", name="named"), False, False):
        callbacks = [] if logger else [kit.RankZeroCallback(log=None)]
        kit.trainer(tmp_path, logger=logger, callbacks=callbacks, **options).fit(kit.Model())
    rankzero.finish()
    assert sorted(folder.parent.name for folder in folders(root)) == ["default", "default", "default", "p"]
    assert [Recorded(folder).steps("train_loss") for folder in folders(root)] == [[0, 1, 2]] * 4


def test_accumulation(kit: Kit, root: Path, tmp_path: Path) -> None:
    """One row for each optimizer step; the loss is the mean over its micro-batches."""
    losses: list[float] = []

    class Keeps(kit.Model):  # type: ignore[misc, name-defined]
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            losses.append(loss.item())
            return loss

    options = {"accumulate_grad_batches": 2, "limit_train_batches": 4, "max_epochs": 1}
    recorded = _fit(kit, root, tmp_path, Keeps(), **options)
    means = [(losses[0] + losses[1]) / 2, (losses[2] + losses[3]) / 2]
    assert recorded.steps("loss") == [0, 1]
    assert recorded.values("loss") == pytest.approx(means)
    assert recorded.values("progress/micro_step") == [2, 4]


def test_an_optimizer_that_calls_its_closure_again(kit: Kit, root: Path, tmp_path: Path) -> None:
    """The loss of a step of LBFGS is the one at the parameters before it, not the sum of all that it tried."""
    losses: list[list[float]] = []

    class Tries(kit.BoringModel):  # type: ignore[misc, name-defined]
        def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
            losses.append([])

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)["loss"]
            losses[-1].append(loss.item())
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.LBFGS(self.parameters(), lr=0.01, max_iter=3)

    recorded = _fit(kit, root, tmp_path, Tries())
    assert all(len(tried) > 1 for tried in losses)
    assert recorded.values("loss") == pytest.approx([tried[0] for tried in losses])


@pytest.mark.parametrize("toggles", [False, True])
def test_several_optimizers_by_hand(kit: Kit, root: Path, tmp_path: Path, toggles: bool) -> None:
    """Manual optimization with two optimizers: a loss and a learning rate of each, in one row for each batch."""

    class Two(kit.BoringModel):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False
            self.other = torch.nn.Linear(32, 2)

        def training_step(self, batch: Any, batch_idx: int) -> None:
            first, second = self.optimizers()
            for optimizer, layer, scale in ((first, self.layer, 1.0), (second, self.other, 10.0)):
                if toggles:
                    self.toggle_optimizer(optimizer)
                optimizer.zero_grad()
                self.manual_backward(scale * layer(torch.ones_like(batch)).square().mean() + scale)
                optimizer.step()
                if toggles:
                    self.untoggle_optimizer(optimizer)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.layer.parameters(), lr=0.001), torch.optim.Adam(self.other.parameters(), lr=0.1)

    recorded = _fit(kit, root, tmp_path, Two(), callbacks=[kit.RankZeroCallback(log_freq=1)])
    assert recorded.steps("loss") == recorded.steps("loss@2") == list(range(6))
    assert all(
        1 < loss < 9 < other for loss, other in zip(recorded.values("loss"), recorded.values("loss@2"), strict=True)
    )
    assert recorded.values("optim/lr@2") == [0.1] * 6
    assert recorded.steps("grad/norm") == list(range(6))
    assert recorded.values("trainer/global_step") == [2, 4, 6, 8, 10, 12]
    assert recorded.config["optimizer@2"]["class"] == "Adam"


def test_a_metric_of_the_users_is_never_overwritten(kit: Kit, root: Path, tmp_path: Path) -> None:
    """Where the user logs a metric called "loss", that is what "loss" is."""

    class Named(kit.BoringModel):  # type: ignore[misc, name-defined]
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.log("loss", 100.0)
            return super().training_step(batch, batch_idx)

    recorded = _fit(kit, root, tmp_path, Named())
    assert recorded.values("loss") == [100.0] * 6


def test_watching_by_hand_comes_first(kit: Kit, root: Path, tmp_path: Path) -> None:
    """With `logger.watch` the gradients are recorded once, as it says."""
    logger, model = kit.RankZeroLogger(), kit.Model()
    logger.watch(model, log_freq=3)
    kit.trainer(tmp_path, logger=logger).fit(model)
    rankzero.finish()
    assert only(root).steps("grad/norm") == [0, 3]


def test_training_is_the_same_with_and_without(kit: Kit, root: Path, tmp_path: Path) -> None:
    """The weights are bit-identical, and the Trainer holds the callbacks that it would hold."""

    def trained(**options: Any) -> tuple[list[str], list[torch.Tensor]]:
        kit.pl.seed_everything(3)
        model = kit.Model()
        trainer = kit.trainer(tmp_path, **options)
        trainer.fit(model)
        return [type(callback).__name__ for callback in trainer.callbacks], [p.detach() for p in model.parameters()]

    callbacks, weights = trained(logger=False)
    ours, same = trained(logger=kit.RankZeroLogger())
    assert callbacks == ours
    assert all(torch.equal(a, b) for a, b in zip(weights, same, strict=True))


def test_validate_test_and_predict_by_themselves(kit: Kit, root: Path, tmp_path: Path) -> None:
    """Each works with the logger; their metrics are recorded, their time is evaluation."""
    logger = kit.RankZeroLogger()
    trainer, model = kit.trainer(tmp_path, logger=logger), kit.Model()
    trainer.validate(model, verbose=False)
    trainer.test(model, verbose=False)
    rows: Any = torch.randn(4, 32)
    trainer.predict(model, torch.utils.data.DataLoader(rows))
    rankzero.finish()
    recorded = only(root)
    assert (recorded.steps("val_loss"), recorded.steps("test_loss")) == ([0], [0])
    assert recorded.phases() == ["evaluation", ""] * 2
    assert "loss" not in recorded.series


def test_a_monitored_metric_is_judged_by_its_best(kit: Kit, root: Path, tmp_path: Path) -> None:
    """What a ModelCheckpoint monitors has a goal, so that its best value is the summary's."""
    checkpoint = kit.pl.callbacks.ModelCheckpoint(dirpath=tmp_path / "ckpt", monitor="val_loss", mode="min")
    recorded = _fit(kit, root, tmp_path, kit.Model(), callbacks=[checkpoint])
    (define,) = [record for record in recorded.records if type(record).__name__ == "Define"]
    assert (define.name, define.goal) == ("val_loss", "minimize")  # type: ignore[union-attr]
