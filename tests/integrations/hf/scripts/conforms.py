"""A Trainer with a model made on the spot, alone or in a job of several, that does what a plan says."""

import os
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

torch.set_num_threads(1)
LAYERS = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 16}


def train(plan):
    if plan.by_hand:
        import rankzero_hf  # noqa: F401
    losses = [fit(plan, number) for number in range(plan.fits)]
    return {"loss": losses[0], "others": losses[1:]}


def fit(plan, number):
    class Failing(Trainer):
        def training_step(self, *args, **kwargs):
            step, rank = self.state.global_step + 1, int(os.environ.get("RANK", "0"))
            if step == plan.fail_at and rank == plan.fail_rank and not resumes:
                raise ValueError("failed on purpose")
            return super().training_step(*args, **kwargs)

    torch.manual_seed(number)
    ids = torch.randint(0, 32, (64, 8), generator=torch.Generator().manual_seed(1))
    folder = Path(f"out{number}")
    resumes = get_last_checkpoint(folder) if folder.exists() else None
    trainer = Failing(
        BertForSequenceClassification(BertConfig(vocab_size=32, **LAYERS)),
        TrainingArguments(
            str(folder),
            report_to="rankzero" if plan.by_hand else "none",
            max_steps=plan.steps,
            per_device_train_batch_size=4,
            logging_steps=1,
            save_strategy="steps" if plan.save_at else "no",
            save_steps=plan.save_at or 500,
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=[{"input_ids": row, "labels": int(row[0] > 15)} for row in ids],
    )
    trainer.train(resume_from_checkpoint=resumes)
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]
