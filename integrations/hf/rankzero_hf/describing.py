"""Hyperparameters: what a Trainer was asked to do, and with what."""

# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any


def arguments(args: Any) -> dict[str, Any]:
    """The TrainingArguments; tokens are masked."""
    return dict(args.to_dict())


def model_facts(model: Any) -> dict[str, Any]:
    """The configuration of a model, and of the adapters on it."""
    found: dict[str, Any] = {}
    config = getattr(model, "config", None)
    if config is not None:
        found["model_config"] = config if isinstance(config, dict) else config.to_dict()
    adapters = getattr(model, "peft_config", None)
    if isinstance(adapters, dict):
        found["peft_config"] = {name: _plain(adapter) for name, adapter in adapters.items()}
    return found


def versions() -> dict[str, str]:
    """Of what drives the loop."""
    import accelerate
    import torch
    import transformers

    return {module.__name__: str(module.__version__) for module in (transformers, accelerate, torch)}


def goals(args: Any) -> tuple[str, str] | None:
    """The metric by which a checkpoint is best, and whether to "minimize" or "maximize" it; None if the user named none."""
    metric = args.metric_for_best_model
    if not metric:
        return None
    metric = metric if metric.startswith("eval_") else f"eval_{metric}"
    greater = args.greater_is_better
    return metric, "maximize" if greater else "minimize"


def _plain(adapter: Any) -> Any:
    return adapter.to_dict() if hasattr(adapter, "to_dict") else adapter
