"""Evaluation and checkpoints, told from training: when they begin, when they end and how long they took."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from rankzero.plugin import Run, guarded, report
from rankzero_pytorch.internals import compiling
from rankzero_pytorch.zero_change.clock import Clock
from rankzero_pytorch.zero_change.gaps import Gaps

SHORT = {"evaluation": "eval", "checkpoint": "checkpoint"}


class Phases:
    """The phase that this process is in, as the run has it.

    A model's `eval()` begins an evaluation; its `train()`, the next backward pass or the next optimizer step ends it. A
    checkpoint is what happens inside `torch.save` and `torch.distributed.checkpoint.save`.

    Attributes:
        models: ids of the modules whose `eval()` counts.
        interrupted: something other than training is under way.
        step: the last step that the run has done; nothing is a phase before the first.
    """

    def __init__(self, clock: Clock, gaps: Gaps) -> None:
        self.models: set[int] = set()
        self.interrupted = False
        self.step = 0
        self._clock = clock
        self._gaps = gaps
        self._run: Run | None = None
        self._open: AbstractContextManager[None] | None = None

    def attach(self, run: Run | None) -> None:
        """Phases of this run from now on; none without one."""
        self.training()
        self._run = run
        self.models = set()
        self.step = 0

    def begin(self, phase: str) -> bool:
        """Training is interrupted; false if it is already, or nothing is recorded."""
        run = self._run
        if run is None or self._open is not None or not self.step or self._clock.in_backward:
            return False
        self._open = run.phase(phase)
        self.interrupted = True
        self._open.__enter__()
        self._clock.leave(phase)
        self._gaps.interrupt()
        return True

    def training(self) -> None:
        """Training goes on, if it was interrupted."""
        opened, self._open, self.interrupted = self._open, None, False
        if opened is None:
            return
        phase = self._clock.away
        seconds = self._clock.come_back()
        opened.__exit__(None, None, None)
        if self._run is not None and self._run.state == "running":
            self._run.log({f"time/{SHORT[phase]}": seconds}, step=self.step, ranks="all")
            report(f"time/{SHORT[phase]}", "recorded", "pytorch")

    def around_train(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `nn.Module.train`, which `eval` calls too."""
        changed = guarded("noticing an evaluation")(self._mode)

        def train(module: Any, mode: bool = True) -> Any:
            if not compiling() and id(module) in self.models:
                changed(mode)
            return original(module, mode)

        return train

    def around_save(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For functions that write a checkpoint."""
        begin = guarded("noticing a checkpoint")(self.begin)
        end = guarded("noticing a checkpoint")(self.training)

        def save(*args: Any, **kwargs: Any) -> Any:
            mine = begin("checkpoint")
            try:
                return original(*args, **kwargs)
            finally:
                if mine:
                    end()

        return save

    def _mode(self, training: bool) -> None:
        if training:
            self.training()
        else:
            self.begin("evaluation")
