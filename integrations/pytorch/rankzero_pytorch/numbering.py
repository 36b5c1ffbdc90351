"""Which step of the run an optimizer step is, also when training went on from a checkpoint."""

from __future__ import annotations

from torch import Tensor
from torch.optim import Optimizer

from rankzero.plugin import Run


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
    """The numbers of a run's steps.

    They go on from where the optimizer's state says that it is, so that steps done again after a restart from an older
    checkpoint get the same numbers again; otherwise from where the run is.

    Args:
        run: whose steps.
        first: the number of a new run's first step: 0 where rows logged by hand stand beside, which count from 0; 1 where
            a step's number is how many have been done.
    """

    def __init__(self, run: Run, *, first: int) -> None:
        self._run = run
        self._first = first
        self._begun: tuple[int, int] | None = None

    def begin(self, optimizer: Optimizer | None, count: int, *, alike: bool = False) -> None:
        """The first call says what comes next: the `count`-th step of this process, of this optimizer.

        `alike`: every rank must find the same number, whatever rank zero alone has logged by hand.
        """
        if self._begun is not None:
            return
        done = None if optimizer is None else steps_done(optimizer)
        if done is not None:
            start = done + self._first
        elif alike and not self._run.resumed:
            start = self._first
        else:
            start = max(self._run.step, self._first)
        self._begun = (start, count)

    def move(self, done: int) -> None:
        """It turned out that so many steps had been done before the first."""
        if self._begun is not None:
            self._begun = (done + self._first, self._begun[1])

    def step(self, count: int) -> int:
        """The number of this process's `count`-th step."""
        start, first = self._begun or (self._first, count)
        return start + count - first
