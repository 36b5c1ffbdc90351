"""Trains a small model with Lightning. It has never heard of rankzero, unless asked for its logger."""

import argparse
import importlib
import json
import os

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--flavor", default="lightning")
parser.add_argument("--logger", default="true", choices=["true", "false", "csv", "rankzero"])
parser.add_argument("--strategy", default="auto")
parser.add_argument("--devices", type=int, default=1)
parser.add_argument("--trainers", type=int, default=1)
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--ckpt", default=None)
parser.add_argument("--fast-dev-run", action="store_true")
parser.add_argument("--loop-around", action="store_true", help="a plain loop before and after the fit")
parser.add_argument("--lr-find", action="store_true")
parser.add_argument("--fail-on-rank", type=int, default=-1)
asked = parser.parse_args()

if asked.flavor == "lightning":
    import lightning.pytorch as pl
    from lightning.pytorch.demos.boring_classes import BoringModel
    from lightning.pytorch.loggers import CSVLogger
else:
    import pytorch_lightning as pl
    from pytorch_lightning.demos.boring_classes import BoringModel
    from pytorch_lightning.loggers import CSVLogger


class Model(BoringModel):
    def __init__(self, lr=0.1):
        super().__init__()
        self.save_hyperparameters()

    def training_step(self, batch, batch_idx):
        if self.trainer.global_rank == asked.fail_on_rank and batch_idx == 2:
            raise ValueError("failed on purpose")
        loss = super().training_step(batch, batch_idx)["loss"]
        self.log("train_loss", loss)
        if self.logger is not None and batch_idx == 3:
            self.logger.log_metrics({"by_hand": 7.0}, step=self.trainer.global_step)
            if hasattr(self.logger.experiment, "add_scalar"):
                self.logger.experiment.add_scalar("of_tensorboard", 3.0, self.trainer.global_step)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", super().validation_step(batch, batch_idx)["x"], sync_dist=asked.devices > 1)

    def test_step(self, batch, batch_idx):
        self.log("test_loss", super().test_step(batch, batch_idx)["y"], sync_dist=asked.devices > 1)


def logger():
    if asked.logger == "rankzero":
        from rankzero_lightning import RankZeroLogger

        return RankZeroLogger()
    return {"true": True, "false": False}.get(asked.logger) if asked.logger != "csv" else CSVLogger("csv")


def plain_loop(steps):
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(2, 4)).mean().backward()
        optimizer.step()


def main():
    torch.manual_seed(0)
    if asked.loop_around:
        plain_loop(2)
    for _ in range(asked.trainers):
        trainer = pl.Trainer(
            accelerator="cpu", devices=asked.devices, strategy=asked.strategy, max_epochs=asked.epochs,
            limit_train_batches=4, limit_val_batches=2, limit_test_batches=2, log_every_n_steps=1,
            enable_progress_bar=False, enable_model_summary=False, logger=logger(),
            fast_dev_run=2 if asked.fast_dev_run else False,
        )  # fmt: skip
        if trainer.logger is not None:
            trainer.logger.log_hyperparams({"seed": 0})
        model = Model()
        if asked.lr_find:
            tuner = importlib.import_module(f"{pl.__name__}.tuner").Tuner(trainer)
            tuner.lr_find(model, num_training=20, update_attr=False)
        trainer.fit(model, ckpt_path=asked.ckpt)
        if asked.strategy != "ddp_spawn":
            trainer.test(model, verbose=False)
    if asked.loop_around:
        plain_loop(3)
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        seen = {
            "callbacks": [type(callback).__name__ for callback in trainer.callbacks],
            "loggers": [type(found).__name__ for found in trainer.loggers],
            "checkpoint": os.path.relpath(getattr(trainer.checkpoint_callback, "best_model_path", "") or "."),
            "metrics": sorted(trainer.callback_metrics),
            "global_step": trainer.global_step,
            "weights": sum(parameter.double().sum().item() for parameter in model.parameters()),
        }
        print(json.dumps(seen))


if __name__ == "__main__":
    main()
