"""What a fit is configured with: hyperparameters, the Trainer's arguments, optimizers, schedules and the model's layout."""

from __future__ import annotations

from typing import Any

from rankzero.plugin import Run
from rankzero_pytorch.zero_change.model import describe
from rankzero_pytorch.zero_change.optimizers import hyperparameters

SOURCE = "lightning"

ARGUMENTS = (
    "max_epochs", "min_epochs", "max_steps", "min_steps", "accumulate_grad_batches", "gradient_clip_val",
    "gradient_clip_algorithm", "limit_train_batches", "limit_val_batches", "limit_test_batches", "val_check_interval",
    "check_val_every_n_epoch", "log_every_n_steps", "num_nodes", "num_devices", "world_size", "precision",
)  # fmt: skip


def describe_fit(run: Run, trainer: Any, module: Any, *, layout: bool) -> None:
    """Put everything into the run's config when a fit begins; the model's layout only where no logger is told of it."""
    facts: dict[str, Any] = {"trainer": arguments(trainer)}
    if layout:
        facts["model"] = describe(module)
    for index, optimizer in enumerate(trainer.optimizers):
        facts[f"optimizer{f'@{index + 1}' if index else ''}"] = hyperparameters(optimizer)
    schedules = [schedule(config) for config in trainer.lr_scheduler_configs]
    if schedules:
        facts["lr_scheduler"] = schedules if len(schedules) > 1 else schedules[0]
    run.config.update(facts, source=SOURCE)


def hyperparameters_of(trainer: Any, module: Any) -> dict[str, Any]:
    """What `save_hyperparameters` kept of the module and its data, merged as for Lightning's loggers."""
    found: dict[str, Any] = {}
    for holder in (module, trainer.datamodule):
        if holder is not None and getattr(holder, "_log_hyperparams", False):
            found.update(holder.hparams_initial)
    found.pop("_class_path", None)
    return found


def arguments(trainer: Any) -> dict[str, Any]:
    """The Trainer's arguments as it understood them, and the classes it chose."""
    found = {name: getattr(trainer, name, None) for name in ARGUMENTS}
    found["strategy"] = type(trainer.strategy).__name__
    found["accelerator"] = type(trainer.accelerator).__name__
    return {name: value for name, value in found.items() if value is not None}


def schedule(config: Any) -> dict[str, Any]:
    """One learning rate schedule: its class, when it steps, and its own numbers."""
    scheduler = config.scheduler
    own = {
        name: value
        for name, value in vars(scheduler).items()
        if not name.startswith("_") and isinstance(value, int | float | str) and name != "last_epoch"
    }
    facts = {"class": type(scheduler).__name__, "interval": config.interval, "frequency": config.frequency, **own}
    return facts | ({"monitor": config.monitor} if config.monitor else {})


def define_monitored(run: Run, trainer: Any) -> None:
    """What a checkpoint or early stopping callback watches is judged by its best value."""
    for callback in trainer.callbacks:
        monitor, mode = getattr(callback, "monitor", None), getattr(callback, "mode", None)
        if isinstance(monitor, str) and mode in {"min", "max"}:
            goal = "minimize" if mode == "min" else "maximize"
            run.define_metric(monitor, summary="best,last", goal=goal)
