"""A training in the style of transformers' `*_no_trainer` examples: an Accelerator, trackers if asked, checkpoints, resuming."""

import argparse
import time

import torch
from accelerate import Accelerator
from transformers import BertConfig, BertForSequenceClassification, get_scheduler

parser = argparse.ArgumentParser()
parser.add_argument("--with_tracking", action="store_true")
parser.add_argument("--report_to", default="all")
parser.add_argument("--max_train_steps", type=int, default=8)
parser.add_argument("--gradient_accumulation_steps", type=int, default=2)
parser.add_argument("--checkpointing_step", type=int, default=4)
parser.add_argument("--resume_from_checkpoint")
parser.add_argument("--output_dir", default="no_trainer")
args = parser.parse_args()

if args.report_to == "rankzero":
    import rankzero_hf  # noqa: F401

options = {"log_with": args.report_to, "project_dir": args.output_dir} if args.with_tracking else {}
accelerator = Accelerator(gradient_accumulation_steps=args.gradient_accumulation_steps, cpu=True, **options)
torch.manual_seed(0)
model = BertForSequenceClassification(
    BertConfig(vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
)
ids = torch.randint(0, 32, (256, 8))
data = torch.utils.data.TensorDataset(ids, (ids[:, 0] > 15).long())
loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scheduler = get_scheduler("linear", optimizer, 0, args.max_train_steps * accelerator.num_processes)
model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
if args.with_tracking:
    accelerator.init_trackers("no_trainer", vars(args))
completed = 0
if args.resume_from_checkpoint:
    accelerator.load_state(args.resume_from_checkpoint)
    completed = int(args.resume_from_checkpoint.rsplit("_", 1)[1])

model.train()
while completed < args.max_train_steps:
    for batch in loader:
        with accelerator.accumulate(model):
            loss = model(input_ids=batch[0], labels=batch[1]).loss
            accelerator.backward(loss)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients:
            completed += 1
            if args.with_tracking:
                accelerator.log({"train_loss": loss.detach(), "completed": completed}, step=completed)
            if completed == args.checkpointing_step:
                accelerator.save_state(f"{args.output_dir}/step_{completed}")
        if completed >= args.max_train_steps:
            break
if args.with_tracking:
    accelerator.end_training()
print(f"rank {accelerator.process_index} of {accelerator.num_processes} did {completed}")
if accelerator.num_processes > 1:
    time.sleep(0.2)  # torch aborts, recorded or not, if Python ends while gloo's threads want its lock
