"""Programs that drive their own loop with an Accelerator and never mention rankzero: what they tell it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from rankzero.plugin import (
    claim,
    current_run,
    guarded,
    offer_config,
    open_run,
    replace,
    report,
    started_by_run,
    training_run,
)
from rankzero_hf import identity, listening, loaders
from rankzero_pytorch.zero_change.hooks import loop

NAME = "accelerate"
PRECEDENCE = 20


def listen(module: ModuleType) -> None:
    """Listen to the class `Accelerator` of `accelerate.accelerator`."""
    accelerator = module.Accelerator
    replace(accelerator, "init_trackers", _around_init_trackers)
    replace(accelerator, "log", _around_log)
    replace(accelerator, "prepare", _around_prepare)
    loaders.listen()
    listen_to_states()


def listen_to_states() -> None:
    """Listen to what an Accelerator saves and loads: it says which run goes on."""
    accelerator = sys.modules["accelerate.accelerator"].Accelerator
    replace(accelerator, "save_state", _around_save_state)
    replace(accelerator, "load_state", _around_load_state)


def _ours(accelerator: Any) -> Any:
    """The tracker of ours that the program asked for, which then records; None without one, and on other processes."""
    from rankzero_hf.tracker import RankZeroTracker

    return next((tracker for tracker in accelerator.trackers if isinstance(tracker, RankZeroTracker)), None)


def _around_init_trackers(original: Callable[..., Any]) -> Callable[..., Any]:
    @guarded("reading the hyperparameters of trackers")
    def note(accelerator: Any, config: Any) -> None:
        if config and _ours(accelerator) is None:
            offer_config(config, "accelerate.init_trackers")
            report("hyperparameters", "recorded", NAME)

    def init_trackers(accelerator: Any, *args: Any, **kwargs: Any) -> Any:
        with loop.writers.silenced():
            result = original(accelerator, *args, **kwargs)
        note(accelerator, kwargs.get("config", args[1] if len(args) > 1 else None))
        return result

    return init_trackers


def _around_log(original: Callable[..., Any]) -> Callable[..., Any]:
    claimed: set[str] = set()

    @guarded("forwarding what is logged to an Accelerator")
    def forward(values: Any, step: int | None = None, *_: Any, **__: Any) -> None:
        run = training_run(NAME)
        if run is None:
            return
        if not claimed.issuperset(values):
            claimed.update(values)
            for key in values:
                claim(key, NAME, PRECEDENCE)
            report("log calls", "recorded", NAME)
        run.log(values, step)

    def log(accelerator: Any, *args: Any, **kwargs: Any) -> Any:
        if not accelerator.trackers:
            result = original(accelerator, *args, **kwargs)
        else:
            with loop.writers.silenced():
                result = original(accelerator, *args, **kwargs)
            if _ours(accelerator) is not None:
                return result
        forward(*args, **kwargs)
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
        ours = _ours(accelerator)
        run = current_run() if ours is None or ours.run is None else ours.run
        if run is None or run.disabled or not accelerator.is_main_process or not folder:
            return
        path = Path(folder).absolute()
        identity.sign_folder(path, run)
        run.event("checkpoint", str(path), path=str(path), step=loop.seen.phases.step)
        run.summary.update({"checkpoint": str(path)})
        report("checkpoints", "recorded", NAME)

    def save_state(accelerator: Any, *args: Any, **kwargs: Any) -> Any:
        mine = begin("checkpoint")
        try:
            folder = original(accelerator, *args, **kwargs)
        finally:
            if mine:
                end()
        record(accelerator, folder)
        return folder

    return save_state


def _around_load_state(original: Callable[..., Any]) -> Callable[..., Any]:
    @guarded("finding the run of a checkpoint")
    def continue_run(accelerator: Any, folder: Any) -> None:
        saved = identity.run_of_folder(_folder(accelerator, folder))
        ours = _ours(accelerator)
        if not saved:
            return
        if ours is not None:
            if not ours.continues(saved):
                report("the checkpoint's run", "seen", NAME, "it was loaded after something had been recorded already")
        elif current_run() is None and started_by_run():
            open_run(NAME, id=saved)

    def load_state(accelerator: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(accelerator, *args, **kwargs)
        continue_run(accelerator, kwargs.get("input_dir", args[0] if args else None))
        return result

    return load_state


def _folder(accelerator: Any, given: Any) -> Path:
    """What an Accelerator loads: the folder it is given, else the newest that it named itself."""
    if given is not None:
        return Path(given).expanduser()
    saved = [path for path in Path(accelerator.project_dir, "checkpoints").iterdir() if path.name[-1:].isdigit()]
    return max(saved, key=lambda path: int(path.name.rpartition("_")[2]))
