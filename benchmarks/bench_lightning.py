"""What recording costs a Lightning Trainer a step, with our logger and with no change, beside other loggers.

python -m benchmarks.bench_lightning
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.loggers import stay_local

OURS = ["RankZeroLogger", "RankZeroCallback", "rankzero run"]
KINDS = ["no logger", *OURS, "TensorBoardLogger", "WandbLogger"]
MODES = {"log_every_n_steps=50, the default": 50, "log_every_n_steps=1": 1}
NEEDS = {"TensorBoardLogger": "tensorboard", "WandbLogger": "wandb"}


def main() -> None:
    if importlib.util.find_spec("lightning") is None:
        print("\nLightning: not measured, it is not installed: pip install 'rankzero[lightning]'")
        return
    from benchmarks import switched

    kinds = [kind for kind in KINDS if importlib.util.find_spec(NEEDS.get(kind, "lightning")) is not None]
    harness.heading("Lightning: one Trainer.fit on CPU, each kind in a process of its own, switched off and on")
    for kind in sorted({*KINDS} - {*kinds}):
        print(f"  {kind}: not measured, {NEEDS[kind]} is not installed")
    switched.compare("bench_lightning", kinds, OURS, MODES)


def logger(kind: str, folder: Path) -> Any:
    """What the Trainer is given as its logger."""
    if kind == "RankZeroLogger":
        from rankzero_lightning import RankZeroLogger

        return RankZeroLogger(save_dir=folder)
    if kind == "TensorBoardLogger":
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(folder)
    if kind == "WandbLogger":
        from lightning.pytorch.loggers import WandbLogger

        return WandbLogger(save_dir=folder, offline=True)
    return False


def measure(kind: str, every: int, folder: Path) -> None:
    """Fit a small model in this process; the meter in its step answers."""
    import torch
    from benchmarks.switched import STEPS, Meter, hooks
    from lightning.pytorch import LightningModule, Trainer

    class Model(LightningModule):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
            self.meter = Meter(switch)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = self.layers(batch).square().mean()
            self.log("train_loss", loss)
            self.meter.work()
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

    callbacks: list[Any] = []
    if kind == "RankZeroCallback":
        from rankzero_lightning import RankZeroCallback

        callbacks.append(RankZeroCallback())
    trainer = Trainer(
        accelerator="cpu", logger=logger(kind, folder), max_epochs=1, log_every_n_steps=every,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        callbacks=callbacks,
    )  # fmt: skip
    loggers, callbacks = trainer.loggers, trainer.callbacks

    def switch(on: bool) -> None:
        hooks.switch(on)
        trainer.loggers = loggers if on else []
        if kind == "RankZeroCallback":
            trainer.callbacks = callbacks if on else callbacks[1:]

    data: Any = torch.randn(STEPS * 8, 16)
    trainer.fit(Model(), torch.utils.data.DataLoader(data, batch_size=8))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        if sys.argv[1] == "rankzero run":
            from benchmarks.switched import below_rankzero_run

            below_rankzero_run("bench_lightning", *sys.argv[1:])
        warnings.simplefilter("ignore")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as here:
            stay_local(Path(here))
            measure(sys.argv[1], int(sys.argv[2]), Path(here))
    else:
        main()
