"""What recording costs a transformers Trainer a step, by name and with no change, beside its other callbacks.

python -m benchmarks.bench_hf
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

KINDS = ["no callback", "report_to rankzero", "rankzero run", "TensorBoardCallback", "WandbCallback"]
REPORT_TO = {"report_to rankzero": "rankzero", "TensorBoardCallback": "tensorboard", "WandbCallback": "wandb"}
MODES = {"logging_steps=500, the default": 500, "logging_steps=1": 1}
NEEDS = {"TensorBoardCallback": "tensorboard", "WandbCallback": "wandb"}
ROUNDS = 3


def main() -> None:
    if any(importlib.util.find_spec(name) is None for name in ("transformers", "accelerate")):
        print("\nHugging Face: not measured, it is not installed: pip install 'rankzero[hf]'")
        return
    from benchmarks import overhead

    kinds = [kind for kind in KINDS if importlib.util.find_spec(NEEDS.get(kind, "torch")) is not None]
    harness.heading("transformers: one Trainer.train on CPU, each kind in a process of its own, in turns")
    for kind in sorted({*KINDS} - {*kinds}):
        print(f"  {kind}: not measured, {NEEDS[kind]} is not installed")
    overhead.compare("bench_hf", kinds, MODES, ROUNDS)


def measure(kind: str, every: int, folder: Path) -> None:
    """Train a small model in this process; the meter in its forward pass answers."""
    import torch
    from benchmarks.overhead import STEPS, WARMUP, Meter
    from transformers import Trainer, TrainingArguments

    if kind == "report_to rankzero":
        import rankzero_hf  # noqa: F401

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
            self.meter = Meter()

        def forward(self, x: Any) -> dict[str, Any]:
            self.meter.work()
            return {"loss": self.layers(x).square().mean()}

    steps = WARMUP + STEPS + 2
    Trainer(
        Model(),
        TrainingArguments(
            str(folder / "out"), report_to=REPORT_TO.get(kind, "none"), max_steps=steps, logging_steps=every,
            per_device_train_batch_size=8, save_strategy="no", use_cpu=True, disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=[{"x": row} for row in torch.randn(steps * 8, 16)],
    ).train()  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 1:
        if sys.argv[1] == "rankzero run":
            from benchmarks.overhead import below_rankzero_run

            below_rankzero_run("bench_hf", *sys.argv[1:])
        warnings.simplefilter("ignore")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as here:
            stay_local(Path(here))
            measure(sys.argv[1], int(sys.argv[2]), Path(here))
    else:
        main()
