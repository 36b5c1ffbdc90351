"""An ordinary Trainer script; it prints what it can see of itself."""

import argparse
import json
import time

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

parser = argparse.ArgumentParser()
parser.add_argument("--report-to", default="none")
parser.add_argument("--fail-at", type=int, default=0)
parser.add_argument("--fail-rank", type=int, default=1)
parser.add_argument("--go-on", action="store_true", help="with a loop of its own after a failure")
parser.add_argument("--more", type=json.loads, default={})
asked = parser.parse_args()
if asked.report_to == "rankzero":
    import rankzero_hf  # noqa: F401


class Failing(Trainer):
    def training_step(self, *args, **kwargs):
        if asked.fail_at and self.state.global_step == asked.fail_at and self.args.process_index == asked.fail_rank:
            raise RuntimeError("this rank has had enough")
        return super().training_step(*args, **kwargs)


torch.manual_seed(0)
model = BertForSequenceClassification(
    BertConfig(vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
)
ids = torch.randint(0, 32, (64, 8), generator=torch.Generator().manual_seed(1))
data = [{"input_ids": row, "labels": int(row[0] > 15)} for row in ids]
trainer = Failing(
    model,
    TrainingArguments(
        **{
            "output_dir": "out", "report_to": asked.report_to, "max_steps": 8, "per_device_train_batch_size": 4,
            "logging_steps": 2, "eval_strategy": "steps", "eval_steps": 4, "save_steps": 4, "use_cpu": True,
            "disable_tqdm": True, **asked.more,
        }
    ),
    train_dataset=data,
    eval_dataset=data[:16],
)  # fmt: skip
seen = [type(callback).__name__ for callback in trainer.callback_handler.callbacks]
try:
    trainer.train()
except RuntimeError:
    if not asked.go_on:
        raise
    optimizer = torch.optim.SGD(model.parameters(), lr=0.125)
    for row in data[:4]:
        optimizer.zero_grad()
        model(input_ids=row["input_ids"][None], labels=torch.tensor([row["labels"]])).loss.backward()
        optimizer.step()
if trainer.is_world_process_zero():
    weights = sum(float(tensor.double().abs().sum()) for tensor in model.state_dict().values())
    print("seen", json.dumps({"callbacks": seen, "weights": weights, "report_to": trainer.args.report_to}))
if torch.distributed.is_initialized():
    time.sleep(0.2)  # torch aborts, recorded or not, if Python ends while gloo's threads want its lock
    torch.distributed.destroy_process_group()
