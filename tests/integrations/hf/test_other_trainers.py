"""Trainers built on transformers' own: sequence to sequence, with adapters (peft), TRL's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.integrations.hf.roots import REASON, Root

pytest.importorskip("transformers", reason=REASON)
pytest.importorskip("accelerate", reason=REASON)

import torch
import transformers
from tests.integrations.hf.tiny import classifier, trainer

import rankzero_hf

hf: Any = transformers

pytestmark = pytest.mark.filterwarnings("ignore")


def _usual(folder: Path) -> dict[str, Any]:
    return {
        "output_dir": str(folder), "report_to": "rankzero", "max_steps": 4, "per_device_train_batch_size": 4,
        "logging_steps": 1, "eval_strategy": "steps", "eval_steps": 4, "save_strategy": "no", "use_cpu": True,
        "disable_tqdm": True, "dataloader_pin_memory": False,
    }  # fmt: skip


def _sequences(**more: Any) -> list[dict[str, Any]]:
    rows = torch.randint(4, 32, (32, 8), generator=torch.Generator().manual_seed(1))
    return [{"input_ids": row, "labels": row, **more} for row in rows]


def test_sequence_to_sequence(root: Root) -> None:
    """Generated evaluation and prediction metrics are recorded with the lengths they had, at the Trainer's steps."""
    torch.manual_seed(0)
    small = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    bart = hf.BartForConditionalGeneration(
        hf.BartConfig(
            vocab_size=32, d_model=16, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=16, pad_token_id=1,
            bos_token_id=0, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2, **small,
        )
    )  # fmt: skip
    made = hf.Seq2SeqTrainer(
        bart,
        hf.Seq2SeqTrainingArguments(**_usual(root.folder / "out"), predict_with_generate=True, generation_max_length=8),
        train_dataset=_sequences(),
        eval_dataset=_sequences()[:8],
        compute_metrics=lambda found: {"length": found.predictions.shape[1]},
    )
    made.train()
    made.predict(_sequences()[:4])
    run = root.only()
    assert run["points"]("loss")["step"] == [1, 2, 3, 4]
    assert run["points"]("eval_length")["step"] == run["points"]("test_length")["step"] == [4]
    assert run["config"]["generation_max_length"] == 8


def test_adapters(root: Root) -> None:
    """A model with adapters: their configuration is in the config, and only their parameters count as trainable."""
    peft = pytest.importorskip("peft", reason="needs peft: pip install peft")
    adapter = peft.LoraConfig(r=2, lora_alpha=4, target_modules=["query", "value"], task_type="SEQ_CLS")
    made = trainer(root.folder / "out", max_steps=4)
    plain = sum(tensor.numel() for tensor in made.model.parameters())
    wrapped = peft.get_peft_model(classifier(), adapter)
    trainable, total = wrapped.get_nb_trainable_parameters()
    made = trainer(root.folder / "out", max_steps=4, model=wrapped)
    made.train()
    config = root.only()["config"]
    assert (config["peft_config"]["default"]["r"], config["peft_config"]["default"]["lora_alpha"]) == (2, 4)
    assert (config["model"]["trainable"], config["model"]["parameters"]) == (trainable, total)
    assert trainable < plain
    assert config["model_config"]["hidden_size"] == 16


@pytest.mark.parametrize("by", ["report_to", "callback"])
def test_trl_supervised_fine_tuning(root: Root, by: str) -> None:
    """TRL's SFTTrainer is a Trainer like any other; its own metrics are there too."""
    trl = pytest.importorskip("trl", reason="needs trl: pip install trl")
    datasets = pytest.importorskip("datasets", reason="needs datasets: pip install datasets")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(60)} | {"<pad>": 60, "<eos>": 61}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = hf.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>")
    rows = [{"input_ids": [i % 60, (i + 1) % 60, (i + 2) % 60, 61]} for i in range(32)]
    torch.manual_seed(0)
    arguments = _usual(root.folder / "out") | {
        "eval_strategy": "no",
        "report_to": "rankzero" if by == "report_to" else "none",
    }
    made = trl.SFTTrainer(
        hf.GPT2LMHeadModel(
            hf.GPT2Config(
                vocab_size=64, n_positions=16, n_embd=16, n_layer=1, n_head=2, pad_token_id=60, eos_token_id=61
            )
        ),
        args=trl.SFTConfig(**arguments, max_length=16),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[rankzero_hf.RankZeroCallback(name="tuned")] if by == "callback" else None,
    )
    made.train()
    run = root.only()
    expected = {key for line in made.state.log_history for key, value in line.items() if isinstance(value, int | float)}
    assert expected - {"step", "epoch"} <= run["metrics"].keys()
    assert run["points"]("loss")["step"] == [1, 2, 3, 4]
    assert run["points"]("time/step")["step"] == [2, 3, 4]
    assert run["config"]["model_config"]["n_embd"] == 16
    assert run["config"]["max_length"] == 16
