"""Models and data made on the spot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

torch.set_num_threads(1)


class Sentences(torch.utils.data.Dataset[dict[str, Any]]):
    """Token ids; whether the first is large is the label."""

    def __init__(self, size: int = 64) -> None:
        self.ids = torch.randint(0, 32, (size, 8), generator=torch.Generator().manual_seed(1))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.ids[index], "labels": int(self.ids[index][0] > 15)}


class Stream(torch.utils.data.IterableDataset[dict[str, Any]]):
    """The same sentences one by one, their number unknown."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter([Sentences()[index] for index in range(64)])


def classifier() -> Any:
    """A classifier of some thousand random weights."""
    torch.manual_seed(0)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=32,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=16,
        )
    )


def trainer(
    folder: Path,
    *,
    callbacks: Any = None,
    model_init: Any = None,
    model: Any = None,
    train_dataset: Any = None,
    eval_dataset: Any = None,
    **changed: Any,
) -> Any:
    """A Trainer of ten steps that logs each second step and evaluates and saves at the fifth and the tenth."""
    given: dict[str, Any] = {
        "output_dir": str(folder),
        "report_to": "rankzero",
        "max_steps": 10,
        "per_device_train_batch_size": 4,
        "per_device_eval_batch_size": 16,
        "logging_steps": 2,
        "eval_strategy": "steps",
        "eval_steps": 5,
        "save_steps": 5,
        "use_cpu": True,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    return Trainer(
        None if model_init else model or classifier(),
        TrainingArguments(**{**given, **changed}),
        train_dataset=train_dataset or Sentences(),
        eval_dataset=eval_dataset or Sentences(16),
        callbacks=callbacks,
        model_init=model_init,
    )
