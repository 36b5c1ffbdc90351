"""A Trainer, alone or in a job of several, that does what a plan says."""

import os
import warnings
from pathlib import Path

import torch
from lightning import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")


class Model(LightningModule):
    def __init__(self, plan, lr=0.01):
        super().__init__()
        self.save_hyperparameters("lr")
        self.plan = plan
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.losses = []
        self.resumes = False

    def on_load_checkpoint(self, checkpoint):
        self.losses, self.resumes = checkpoint["losses"], True

    def on_save_checkpoint(self, checkpoint):
        checkpoint["losses"] = self.losses

    def training_step(self, batch, batch_idx):
        plan, step = self.plan, len(self.losses) + 1
        if step == plan.fail_at and not self.resumes and self.global_rank == plan.fail_rank:
            raise ValueError("failed on purpose")
        (inputs,) = batch
        loss = (self.layers(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        self.log("train_loss", loss)
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


def train(plan):
    losses = [fit(plan, number) for number in range(plan.fits)]
    return {"loss": losses[0], "others": losses[1:]}


def fit(plan, number):
    seed_everything(number)
    logger = False
    if plan.by_hand:
        from rankzero_lightning import RankZeroLogger

        logger = RankZeroLogger(project="conformance")
    saving = ModelCheckpoint(dirpath=f"saved{number}", every_n_train_steps=plan.save_at, filename="{step}")
    trainer = Trainer(
        accelerator="cpu",
        devices=int(os.environ.get("WORLD_SIZE", "1")),
        strategy="ddp" if int(os.environ.get("WORLD_SIZE", "1")) > 1 else "auto",
        max_steps=plan.steps,
        max_epochs=100,
        log_every_n_steps=1,
        logger=logger,
        callbacks=[saving] if plan.save_at else [],
        enable_checkpointing=bool(plan.save_at),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Model(plan)
    data = TensorDataset(torch.randn(64, 4, generator=torch.Generator().manual_seed(number)))
    saved = sorted(Path(f"saved{number}").glob("*.ckpt"), key=lambda path: int(path.stem.split("=")[1]))
    trainer.fit(model, DataLoader(data, batch_size=4), ckpt_path=saved[-1] if saved else None)
    return model.losses
