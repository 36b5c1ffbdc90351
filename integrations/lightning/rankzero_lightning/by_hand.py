"""What a program, or a callback, tells a Trainer's logger by itself: `trainer.logger.log_metrics(...)`."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from rankzero.plugin import guarded, replace
from rankzero_lightning.logger import LoggerCore
from rankzero_lightning.trainers import trainers
from rankzero_pytorch.zero_change.hooks import loop


class ByHand:
    """Listens to loggers of other kinds. Of several in a Trainer the first one counts: some callbacks tell all of them."""

    def __init__(self) -> None:
        self._early: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()
        self.outermost = True

    @contextmanager
    def passed_over(self) -> Iterator[None]:
        """What loggers, and writers of theirs, are told inside is recorded by somebody else."""
        before, self.outermost = self.outermost, False
        try:
            with loop.writers.silenced():
                yield
        finally:
            self.outermost = before

    def listen(self, classes: Iterable[type]) -> None:
        """Listen to loggers of these classes."""
        for logger in classes:
            if issubclass(logger, LoggerCore):
                continue
            for name, around in (("log_metrics", _around_metrics), ("log_hyperparams", _around_hyperparameters)):
                for owner in logger.__mro__:
                    if isinstance(vars(owner).get(name), FunctionType):
                        replace(owner, name, around)

    def catch_up(self, trainer: Any) -> None:
        """A Trainer sets to work: its loggers may be of any class, and may have been told hyperparameters before."""
        self.listen(type(logger) for logger in trainer.loggers)
        for logger in trainer.loggers[:1]:
            for params in self._early.pop(logger, ()):
                self.hyperparameters(logger, params)

    def metrics(self, logger: Any, metrics: Any = None, step: int | None = None, *_: Any, **__: Any) -> None:
        """A logger was told metrics."""
        recording = trainers.of_logger(logger)
        if recording is not None and metrics:
            recording.told(metrics, step)

    def hyperparameters(self, logger: Any, params: Any = None, *_: Any, **__: Any) -> None:
        """A logger was told hyperparameters."""
        recording = trainers.of_logger(logger)
        if params is None:
            return
        if recording is None:
            self._early.setdefault(logger, []).append(params)
        else:
            recording.configured(params)


by_hand = ByHand()
"""Of this process."""


def _around_metrics(original: Callable[..., Any]) -> Callable[..., Any]:
    return _around(original, guarded("listening to a logger")(by_hand.metrics))


def _around_hyperparameters(original: Callable[..., Any]) -> Callable[..., Any]:
    return _around(original, guarded("listening to a logger")(by_hand.hyperparameters))


def _around(original: Callable[..., Any], hear: Callable[..., Any]) -> Callable[..., Any]:
    def log(logger: Any, *args: Any, **kwargs: Any) -> Any:
        if not by_hand.outermost:
            return original(logger, *args, **kwargs)
        with by_hand.passed_over():
            result = original(logger, *args, **kwargs)
        hear(logger, *args, **kwargs)
        return result

    return log
