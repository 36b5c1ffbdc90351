"""Train a small network on scikit-learn's handwritten digits with PyTorch Lightning, in two processes.

python examples/digits_lightning.py --devices 2
"""

import argparse

import torch
from lightning import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Digits(LightningDataModule):
    def __init__(self, batch_size=32):
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage):
        digits = load_digits()
        images = torch.tensor(digits.images, dtype=torch.float32).flatten(1) / 16
        data = TensorDataset(images, torch.tensor(digits.target))
        lengths, generator = (1237, 200, 360), torch.Generator().manual_seed(0)
        self.train, self.val, self.test = torch.utils.data.random_split(data, lengths, generator)

    def train_dataloader(self):
        return DataLoader(self.train, self.hparams.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, 100)

    def test_dataloader(self):
        return DataLoader(self.test, 180)


class Classifier(LightningModule):
    def __init__(self, width=64, lr=2e-3):
        super().__init__()
        self.save_hyperparameters()
        self.layers = nn.Sequential(nn.Linear(64, width), nn.GELU(), nn.Dropout(0.1), nn.Linear(width, 10))

    def step(self, batch, stage):
        images, labels = batch
        logits = self.layers(images)
        loss = nn.functional.cross_entropy(logits, labels)
        accuracy = (logits.argmax(1) == labels).float().mean()
        self.log_dict({f"{stage}_loss": loss, f"{stage}_accuracy": accuracy}, sync_dist=stage != "train")
        return loss

    def training_step(self, batch, batch_idx):
        return self.step(batch, "train")

    def validation_step(self, batch, batch_idx):
        self.step(batch, "val")

    def test_step(self, batch, batch_idx):
        self.step(batch, "test")

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)
        steps = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=self.hparams.lr, total_steps=int(steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--devices", type=int, default=1, help="processes; Lightning starts them")
    parser.add_argument("--lr", type=float, default=2e-3)
    asked = parser.parse_args()
    seed_everything(0)
    trainer = Trainer(
        accelerator="cpu",
        devices=asked.devices,
        strategy="ddp" if asked.devices > 1 else "auto",
        max_epochs=asked.epochs,
        log_every_n_steps=5,
        gradient_clip_val=1.0,
        enable_progress_bar=False,
        callbacks=[ModelCheckpoint(monitor="val_loss", mode="min")],
    )
    model, data = Classifier(lr=asked.lr), Digits()
    trainer.fit(model, data)
    trainer.test(model, data)


if __name__ == "__main__":
    main()
