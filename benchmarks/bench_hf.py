"""What recording costs a step of a transformers Trainer and of a loop with an Accelerator, beside their other trackers.

python -m benchmarks.bench_hf
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.loggers import stay_local

TRAINERS = ["report_to rankzero", "Trainer, rankzero run"]
TRAINER = ["Trainer", *TRAINERS, "TensorBoardCallback", "WandbCallback"]
ACCELERATORS = ["log_with rankzero", "Accelerator, rankzero run"]
ACCELERATOR = ["Accelerator", *ACCELERATORS, "log_with tensorboard", "log_with wandb"]
REPORTS = {"report_to rankzero": "rankzero", "TensorBoardCallback": "tensorboard", "WandbCallback": "wandb"}
REPORTERS = {"RankZeroCallback", "TensorBoardCallback", "WandbCallback"}
NEEDS = {
    "TensorBoardCallback": "tensorboard", "log_with tensorboard": "tensorboard",
    "WandbCallback": "wandb", "log_with wandb": "wandb",
}  # fmt: skip


def main() -> None:
    if any(importlib.util.find_spec(name) is None for name in ("transformers", "accelerate")):
        print("\nHugging Face: not measured, it is not installed: pip install 'rankzero[hf]'")
        return
    from benchmarks import switched

    harness.heading("Hugging Face: loops on CPU, each kind in a process of its own, switched off and on")
    for kind, needed in NEEDS.items():
        if importlib.util.find_spec(needed) is None:
            print(f"  {kind}: not measured, {needed} is not installed")
    switched.compare(
        "bench_hf", _there(TRAINER), TRAINERS, {"logging_steps=500, the default": 500, "logging_steps=1": 1}
    )
    switched.compare("bench_hf", _there(ACCELERATOR), ACCELERATORS, {"accelerator.log at every step": 1})


def _there(kinds: list[str]) -> list[str]:
    return [kind for kind in kinds if importlib.util.find_spec(NEEDS.get(kind, "torch")) is not None]


def train(kind: str, every: int, folder: Path) -> None:
    """A Trainer that trains a small model in this process; the meter in its forward pass answers."""
    import torch
    from benchmarks.switched import STEPS, hooks
    from transformers import PrinterCallback, Trainer, TrainingArguments

    if kind == "report_to rankzero":
        import rankzero_hf  # noqa: F401

    def switch(on: bool) -> None:
        hooks.switch(on)
        trainer.callback_handler.callbacks = reporting if on else silent

    trainer = Trainer(
        _model(switch),
        TrainingArguments(
            str(folder / "out"), report_to=REPORTS.get(kind, "none"), max_steps=STEPS, logging_steps=every,
            per_device_train_batch_size=8, save_strategy="no", use_cpu=True, disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=[{"x": row} for row in torch.randn(STEPS * 8, 16)],
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    reporting = trainer.callback_handler.callbacks
    silent = [callback for callback in reporting if type(callback).__name__ not in REPORTERS]
    trainer.train()


def loop(kind: str, every: int, folder: Path) -> None:
    """The same with a loop of its own, in the style of transformers' `*_no_trainer` examples."""
    import torch
    from accelerate import Accelerator
    from benchmarks.switched import STEPS, hooks

    tracker = kind.removeprefix("log_with ") if kind.startswith("log_with ") else None
    if tracker == "rankzero":
        import rankzero_hf  # noqa: F401
    accelerator = Accelerator(cpu=True, log_with=tracker, project_dir=folder)

    def switch(on: bool) -> None:
        hooks.switch(on)
        accelerator.trackers = trackers if on else []

    model = _model(switch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer)
    data: Any = torch.randn(STEPS * 8, 16)
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
    accelerator.init_trackers("bench", config={"lr": 1e-3})
    trackers = accelerator.trackers
    for step, batch in enumerate(loader):
        with accelerator.accumulate(model):
            loss = model(batch)["loss"]
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        if step % every == 0:
            accelerator.log({"train_loss": loss.item(), "epoch": 0}, step=step)
    accelerator.end_training()


def _model(switch: Callable[[bool], None]) -> Any:
    import torch
    from benchmarks.switched import Meter

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
            self.meter = Meter(switch)

        def forward(self, x: Any) -> dict[str, Any]:
            self.meter.work()
            return {"loss": self.layers(x).square().mean()}

    return Model()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        if sys.argv[1].endswith("rankzero run"):
            from benchmarks.switched import below_rankzero_run

            below_rankzero_run("bench_hf", *sys.argv[1:])
        warnings.simplefilter("ignore")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as here:
            stay_local(Path(here))
            (train if sys.argv[1] in TRAINER else loop)(sys.argv[1], int(sys.argv[2]), Path(here))
    else:
        main()
