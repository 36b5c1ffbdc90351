"""Train a tiny language model, made on the spot, with transformers' Trainer; nothing is downloaded.

python examples/tiny_hf_trainer.py --report-to rankzero          # asked for in one word
rankzero run python examples/tiny_hf_trainer.py                  # not mentioned at all
rankzero run torchrun --nproc-per-node=2 examples/tiny_hf_trainer.py
"""

import argparse

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments


class Counting(torch.utils.data.Dataset):
    """Sequences that count up, each from its own start by its own stride: something a small model can learn."""

    def __init__(self, size, length=32, vocabulary=64):
        self.size, self.length, self.vocabulary = size, length, vocabulary

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        tokens = (index + (1 + index % 3) * torch.arange(self.length)) % self.vocabulary
        return {"input_ids": tokens, "labels": tokens}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output-dir", default="tiny_hf_trainer")
    parser.add_argument("--report-to", default="none")
    parser.add_argument("--max-steps", type=int, default=60)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    asked = parser.parse_args()
    if asked.report_to == "rankzero":
        import rankzero_hf  # noqa: F401 - makes the name known; below `rankzero run` it is known already

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=32, n_embd=48, n_layer=2, n_head=4))
    trainer = Trainer(
        model,
        TrainingArguments(
            output_dir=asked.output_dir,
            report_to=asked.report_to,
            max_steps=asked.max_steps,
            per_device_train_batch_size=16,
            learning_rate=3e-3,
            warmup_steps=10,
            logging_steps=5,
            eval_strategy="steps",
            eval_steps=20,
            save_steps=20,
            use_cpu=not torch.cuda.is_available(),
            disable_tqdm=True,
        ),
        train_dataset=Counting(2048),
        eval_dataset=Counting(256),
    )
    trainer.train(resume_from_checkpoint=asked.resume or None)
    print(trainer.evaluate())


if __name__ == "__main__":
    main()
