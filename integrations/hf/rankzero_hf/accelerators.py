"""Programs that drive their own loop with an Accelerator and never mention rankzero: what they tell it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from rankzero.plugin import claim, current_run, guarded, offer_config, open_run, replace, report, training_run
from rankzero_hf import identity, listening
from rankzero_pytorch.zero_change.hooks import loop

NAME = "accelerate"
PRECEDENCE = 20


def listen(module: ModuleType) -> None:
    """Listen to the class `Accelerator` of `accelerate.accelerator`."""
    accelerator = module.Accelerator
    replace(accelerator, "init_trackers", _around_init_trackers)
    replace(accelerator, "log", _around_log)
    replace(accelerator, "prepare", _around_prepare)
    replace(accelerator, "save_state", _around_save_state)
    replace(accelerator, "load_state", _around_load_state)


def _has_ours(accelerator: Any) -> bool:
    """Whether the program asked for a tracker of ours, which then records."""
    from rankzero_hf.tracker import RankZeroTracker

    return any(isinstance(tracker, RankZeroTracker) for tracker in accelerator.trackers)


def _around_init_trackers(original: Callable[..., Any]) -> Callable[..., Any]:
    @guarded("reading the hyperparameters of trackers")
    def note(accelerator: Any, config: Any) -> None:
        if config and not _has_ours(accelerator):
            offer_config(config, "accelerate.init_trackers")
            report("hyperparameters", "recorded", NAME)

    def init_trackers(accelerator: Any, *args: Any, **kwargs: Any) -> Any:
        with loop.writers.silenced():
            result = original(accelerator, *args, **kwargs)
        note(accelerator, kwargs.get("config", args[1] if len(args) > 1 else None))
        return result

    return init_trackers


def _around_log(original: Callable[..., Any]) -> Callable[..., Any]:
    @guarded("forwarding what is logged to an Accelerator")
    def forward(accelerator: Any, values: Any, step: int | None) -> None:
        if _has_ours(accelerator):
            return
        run = training_run(NAME)
        if run is None:
            return
        for key in values:
            claim(key, NAME, PRECEDENCE)
        run.log(values, step=step)
        report("log calls", "recorded", NAME)

    def log(accelerator: Any, *args: Any, **kwargs: Any) -> Any:
        with loop.writers.silenced():
            result = original(accelerator, *args, **kwargs)
        values, step = (*args, None, None)[:2]
        forward(accelerator, kwargs.get("values", values), kwargs.get("step", step))
        return result

    return log


def _around_prepare(original: Callable[..., Any]) -> Callable[..., Any]:
    @guarded("describing an Accelerator")
    def describe(accelerator: Any) -> None:
        facts = {
            "distributed_type": str(getattr(accelerator.distributed_type, "value", accelerator.distributed_type)),
            "num_processes": accelerator.num_processes,
            "mixed_precision": accelerator.mixed_precision,
            "gradient_accumulation_steps": accelerator.gradient_accumulation_steps,
        }
        offer_config({"accelerate": facts}, NAME)

    described = False

    def prepare(accelerator: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal described
        if not described:
            described = True
            describe(accelerator)
        return original(accelerator, *args, **kwargs)

    return prepare


def _around_save_state(original: Callable[..., Any]) -> Callable[..., Any]:
    begin = guarded("noticing a checkpoint")(listening.interrupted_by)
    end = guarded("noticing a checkpoint")(listening.goes_on)

    @guarded("recording a checkpoint")
    def record(accelerator: Any, folder: Any) -> None:
        run = current_run()
        if run is None or run.disabled or not accelerator.is_main_process or not folder:
            return
        path = Path(folder).absolute()
        identity.sign_folder(path, run)
        run.event("checkpoint", str(path), path=str(path), step=loop.seen.phases.step)
        run.summary.update({"checkpoint": str(path)})
        report("checkpoints", "recorded", NAME)

    def save_state(accelerator: Any, *args: Any, **kwargs: Any) -> Any:
        begin("checkpoint")
        try:
            folder = original(accelerator, *args, **kwargs)
        finally:
            end()
        record(accelerator, folder)
        return folder

    return save_state


def _around_load_state(original: Callable[..., Any]) -> Callable[..., Any]:
    @guarded("finding the run of a checkpoint")
    def continue_run(accelerator: Any, folder: Any) -> None:
        if folder is None or current_run() is not None:
            return
        saved = identity.run_of_folder(Path(folder))
        if saved:
            open_run(NAME, id=saved)

    def load_state(accelerator: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(accelerator, *args, **kwargs)
        continue_run(accelerator, kwargs.get("input_dir", args[0] if args else None))
        return result

    return load_state
