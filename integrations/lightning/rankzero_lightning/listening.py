"""Where this package listens to a Trainer: in its own functions, so that its lists of callbacks and loggers stay the user's."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from rankzero.plugin import guarded, part, read_settings, replace
from rankzero_lightning.by_hand import by_hand
from rankzero_lightning.fit import Fit
from rankzero_lightning.flavors import Flavor
from rankzero_lightning.recording import Recording
from rankzero_lightning.trainers import trainers

Look = Callable[[Recording, Any, tuple[Any, ...]], None]


def _batch_ended(recording: Recording, trainer: Any, args: tuple[Any, ...]) -> None:
    if recording.fit is not None:
        recording.fit.batch_ended(trainer, args[1])


def _backward_began(recording: Recording, trainer: Any, args: tuple[Any, ...]) -> None:
    if recording.fit is not None:
        recording.fit.backward_began(args[0] if args else None)


def _backward_ended(recording: Recording, trainer: Any, args: tuple[Any, ...]) -> None:
    if recording.fit is not None:
        recording.fit.backward_ended()


def _of_trainer(method: Callable[[Recording, Any], None]) -> Look:
    return lambda recording, trainer, _: method(recording, trainer)


BEFORE: dict[str, Look] = {
    "on_train_start": _of_trainer(Recording.fit_began),
    "on_after_backward": _backward_ended,
    "on_validation_start": _of_trainer(Recording.evaluation_began),
    "on_validation_end": _of_trainer(Recording.evaluation_ended),
    "on_test_start": _of_trainer(Recording.evaluation_began),
    "on_test_end": _of_trainer(Recording.evaluation_ended),
}
"""What is done before the Trainer calls a hook of its callbacks."""

AFTER: dict[str, Look] = {
    "on_before_backward": _backward_began,
    "on_train_batch_end": _batch_ended,
    "on_train_end": _of_trainer(Recording.fit_ended),
}
"""What is done after it."""

SELDOM = (BEFORE.keys() | AFTER.keys()) - {"on_before_backward", "on_after_backward", "on_train_batch_end"}
"""Those of them that are always heard; the others come with every step, and a fit asks for those that it needs."""


def install(flavor: Flavor) -> None:
    """Listen to the Trainers of a flavor, once however often it is asked for; to none where nothing is to be recorded."""
    if read_settings().mode == "disabled":
        return
    call, trainer = flavor.module("trainer.call"), flavor.module("trainer.trainer").Trainer
    spawning = flavor.module("strategies.launchers.multiprocessing")
    replace(spawning._MultiProcessingLauncher, "launch", _around_launch)  # noqa: SLF001 - no public way
    replace(trainer, "_run", _around_run)
    replace(trainer, "save_checkpoint", _around_save)
    replace(call, "_call_callback_hooks", _around_hooks)
    replace(call, "_call_callbacks_on_save_checkpoint", _around_saving)
    replace(call, "_call_callbacks_on_load_checkpoint", _around_loading)
    connector = flavor.module("trainer.connectors.logger_connector.logger_connector")
    replace(connector._LoggerConnector, "log_metrics", _around_metrics)  # noqa: SLF001 - no public way
    loggers = flavor.module("loggers")
    by_hand.listen(getattr(loggers, name) for name in loggers.__all__)
    replace(flavor.module("loops.fetchers")._DataFetcher, "__next__", _around_fetch)  # noqa: SLF001
    automatic = flavor.module("loops.optimization.automatic")
    replace(automatic._AutomaticOptimization, "run", _around_batch)  # noqa: SLF001
    for path in ("tuner.lr_finder", "tuner.batch_size_scaling"):
        replace(flavor.module(path), "_try_loop_run", _around_rehearsal)


def _around_launch(original: Callable[..., Any]) -> Callable[..., Any]:
    """For Trainers that have their work done by processes which they spawn."""
    part_of = guarded("telling a Trainer's processes from another's")(trainers.part)

    def launch(launcher: Any, function: Any, *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        with part("" if trainer is None else part_of(trainer) or ""):
            return original(launcher, function, *args, trainer=trainer, **kwargs)

    return launch


def _around_run(original: Callable[..., Any]) -> Callable[..., Any]:
    begin = guarded("noticing a Trainer")(trainers.begin)
    catch_up = guarded("noticing a Trainer's loggers")(by_hand.catch_up)
    end = guarded("noticing that a Trainer is done")(trainers.end)
    failed = guarded("noticing that a Trainer failed")(Recording.failed)

    def _run(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        begin(trainer, kwargs.get("ckpt_path", args[1] if len(args) > 1 else None))
        catch_up(trainer)
        try:
            return original(trainer, *args, **kwargs)
        except BaseException as error:
            if trainers.current is not None:
                failed(trainers.current, error)
            raise
        finally:
            end()

    return _run


def _around_hooks(original: Callable[..., Any]) -> Callable[..., Any]:
    before = {hook: guarded("looking at a Trainer")(look) for hook, look in BEFORE.items()}
    after = {hook: guarded("looking at a Trainer")(look) for hook, look in AFTER.items()}

    def _call_callback_hooks(trainer: Any, hook_name: str, *args: Any, **kwargs: Any) -> Any:
        recording = trainers.current
        if recording is None or not (hook_name in recording.hears or hook_name in SELDOM):
            return original(trainer, hook_name, *args, **kwargs)
        if not recording.active or not recording.of(trainer):
            return original(trainer, hook_name, *args, **kwargs)
        if hook_name in before:
            before[hook_name](recording, trainer, args)
        result = original(trainer, hook_name, *args, **kwargs)
        if hook_name in after:
            after[hook_name](recording, trainer, args)
        return result

    return _call_callback_hooks


def _around_batch(original: Callable[..., Any]) -> Callable[..., Any]:
    """For automatic optimization, which Lightning runs batch by batch."""
    begins = guarded("looking at a batch")(Fit.batch_begins)
    ends = guarded("looking at a batch")(Fit.batch_ends)

    def run(loop: Any, optimizer: Any, batch_idx: int, kwargs: Any) -> Any:
        recording = trainers.current
        fit = None if recording is None or not recording.active else recording.fit
        if fit is None or fit.closely:
            return original(loop, optimizer, batch_idx, kwargs)
        begins(fit, optimizer)
        output = original(loop, optimizer, batch_idx, kwargs)
        ends(fit, output, kwargs)
        return output

    return run


def _around_metrics(original: Callable[..., Any]) -> Callable[..., Any]:
    saw = guarded("recording metrics")(Recording.metrics)

    def log_metrics(connector: Any, metrics: Any, step: int | None = None, *args: Any, **kwargs: Any) -> Any:
        with by_hand.passed_over():
            result = original(connector, metrics, step, *args, **kwargs)
        recording = trainers.active(connector.trainer)
        if recording is not None:
            saw(recording, connector.trainer, metrics, step)
        return result

    return log_metrics


def _around_fetch(original: Callable[..., Any]) -> Callable[..., Any]:
    def __next__(fetcher: Any) -> Any:  # noqa: N807 - what it replaces
        recording = trainers.current
        if recording is None or not recording.active or recording.clock.away:
            return original(fetcher)
        began = perf_counter()
        try:
            return original(fetcher)
        finally:
            recording.clock.input += perf_counter() - began

    return __next__


def _around_save(original: Callable[..., Any]) -> Callable[..., Any]:
    begin = guarded("noticing a checkpoint")(Recording.begin_checkpoint)
    end = guarded("noticing a checkpoint")(Recording.end_checkpoint)

    def save_checkpoint(trainer: Any, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        recording = trainers.active(trainer)
        mine = recording is not None and begin(recording, trainer)
        try:
            return original(trainer, filepath, *args, **kwargs)
        finally:
            if recording is not None and mine:
                end(recording, trainer, filepath)

    return save_checkpoint


def _around_saving(original: Callable[..., Any]) -> Callable[..., Any]:
    saving = guarded("naming the run in a checkpoint")(Recording.saving)

    def _call_callbacks_on_save_checkpoint(trainer: Any, checkpoint: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        result = original(trainer, checkpoint, *args, **kwargs)
        recording = trainers.known(trainer)
        if recording is not None:
            saving(recording, checkpoint)
        return result

    return _call_callbacks_on_save_checkpoint


def _around_loading(original: Callable[..., Any]) -> Callable[..., Any]:
    loaded = guarded("looking at a checkpoint")(Recording.loaded)

    def _call_callbacks_on_load_checkpoint(trainer: Any, checkpoint: Any, *args: Any, **kwargs: Any) -> Any:
        recording = trainers.active(trainer)
        if recording is not None:
            loaded(recording, trainer, checkpoint)
        return original(trainer, checkpoint, *args, **kwargs)

    return _call_callbacks_on_load_checkpoint


def _around_rehearsal(original: Callable[..., Any]) -> Callable[..., Any]:
    """For the loops that the tuner runs to find a learning rate or a batch size: they are no training."""

    def _try_loop_run(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        recording = trainers.active(trainer)
        if recording is None:
            return original(trainer, *args, **kwargs)
        recording.active = False
        try:
            return original(trainer, *args, **kwargs)
        finally:
            recording.active = True

    return _try_loop_run
