"""Which step of the run an optimizer step is, also when training went on from a checkpoint."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from rankzero.plugin import Run, log_aside
from rankzero_pytorch.driving import driving
from rankzero_pytorch.steps import steps


def steps_done(optimizer: Optimizer) -> int | None:
    """How many steps the optimizer had done when its state was loaded; None if it does not say (SGD) or has no state yet.

    Adam and its like count their steps for each parameter. Asked once, before the first step: reading a count that lies on an
    accelerator makes the host wait.
    """
    done: int | None = None
    for state in optimizer.state.values():
        count = state.get("step") if isinstance(state, dict) else None
        if isinstance(count, Tensor) and count.numel() == 1:
            on_host = count.device.type == "cpu"
            count = count.item()
            if not on_host:
                return int(count)
        if isinstance(count, int | float):
            done = max(done or 0, int(count))
    return done or None


class Numbering:
    """Logs rows at the run's steps, of which it knows the numbers.

    They go on from where the optimizer's state says that it is, so that steps done again after a restart from an older
    checkpoint get the same numbers again. Where it does not say, a learning rate scheduler may: one that was loaded with a
    count and then counts every optimizer step. As that shows only after a first step, its rows are held back until the second.
    Otherwise the numbers go on from where the run is. Where a framework drives the loop it knows: see `rankzero_pytorch.driving`.

    Args:
        run: whose steps.
        first: the number of a new run's first step: 0 where rows logged by hand stand beside, which count from 0; 1 where
            a step's number is how many have been done.

    Attributes:
        undecided: it will show at the second step which numbers the steps have.
    """

    def __init__(self, run: Run, *, first: int) -> None:
        self._run = run
        self._first = first
        self._start = first
        self._begun: int | None = None
        self.undecided = False
        self._scheduler: tuple[weakref.ref[LRScheduler], int] | None = None
        self._held: list[tuple[dict[str, Any], int, str | None]] = []

    def begin(
        self, optimizer: Optimizer, count: int, *, alike: bool = False, scheduler: LRScheduler | None = None
    ) -> None:
        """The first call says what comes next: the `count`-th step of this process, of this optimizer.

        `alike`: every rank must find the same number, whatever rank zero alone has logged by hand. `scheduler`: of the
        optimizer's learning rates.
        """
        if self._begun is not None:
            return
        self._begun = count
        if driving.steps_done is not None:
            return
        done = steps_done(optimizer)
        if done is not None:
            self._start = done + self._first
            return
        if not alike or self._run.resumed:
            self._start = max(self._run.step, self._first)
        if scheduler is not None and scheduler.last_epoch > 0:
            self._scheduler = weakref.ref(scheduler), scheduler.last_epoch
            self.undecided = True

    def step(self, count: int) -> int:
        """The number of this process's `count`-th step."""
        if driving.steps_done is not None:
            return driving.steps_done() + 1 - (steps.count - count)
        return self._start + count - (count if self._begun is None else self._begun)

    def log(self, row: dict[str, Any], count: int, ranks: str | None = None) -> None:
        """Log a row at this process's `count`-th step; see `Run.log`."""
        if self._scheduler is not None and not self.settled(count):
            self._held.append((row, count, ranks))
        else:
            log_aside(self._run, row, self.step(count), ranks)

    def settled(self, count: int) -> bool:
        """Whether the numbers are known now that there is a `count`-th step: did the scheduler count the first one?"""
        if self._scheduler is None:
            return True
        if count == self._begun:
            return False
        scheduler, loaded = self._scheduler
        found = scheduler()
        if found is not None and found.last_epoch == loaded + 1:
            self._start = loaded + self._first
        self._scheduler, self.undecided = None, False
        for row, held, ranks in self._held:
            log_aside(self._run, row, self.step(held), ranks)
        self._held.clear()
        return True
