"""Where Lightning's own counts of a fit are kept: its properties ask through many objects, and this at every step."""

from __future__ import annotations

from typing import Any


class Counters:
    """The counts of one fit, read where they lie."""

    __slots__ = ("_batches", "_epoch", "_loop", "_steps")

    def __init__(self, trainer: Any, module: Any) -> None:
        loop = self._loop = trainer.fit_loop.epoch_loop
        self._batches = loop.batch_progress.total
        self._epoch = trainer.fit_loop.epoch_progress.current
        if module.automatic_optimization:
            self._steps = loop.automatic_optimization.optim_progress.optimizer.step.total
        else:
            self._steps = loop.manual_optimization.optim_step_progress.total

    @property
    def stepped(self) -> int:
        """Batches that stepped before this one: what Lightning gives its loggers as the step."""
        return self._loop._batches_that_stepped  # type: ignore[no-any-return]  # noqa: SLF001 - what the logger connector reads

    def now(self) -> tuple[int, int, int]:
        """Batches so far, epochs that are over, `trainer.global_step`."""
        return self._batches.ready, self._epoch.completed, self._steps.completed
