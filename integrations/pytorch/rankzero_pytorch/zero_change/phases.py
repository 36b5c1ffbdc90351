"""Evaluation and checkpoints, told from training: when they begin, when they end and how long they took."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from time import perf_counter
from typing import Any

from rankzero.plugin import Run, guarded, log_aside, report
from rankzero_pytorch.internals import tracing
from rankzero_pytorch.zero_change.clock import Clock
from rankzero_pytorch.zero_change.gaps import Gaps

SHORT = {"evaluation": "eval", "checkpoint": "checkpoint"}


class _Open:
    """A phase under way. `others`: seconds of phases inside it."""

    def __init__(self, name: str, entered: AbstractContextManager[None]) -> None:
        self.name = name
        self.began = perf_counter()
        self.others = 0.0
        self.entered = entered
        entered.__enter__()


class Phases:
    """The phase that this process is in, as the run has it.

    A model's `eval()` begins an evaluation; its `train()`, the next backward pass or the next optimizer step ends it. A
    checkpoint is what happens inside `torch.save` and `torch.distributed.checkpoint.save`, in an evaluation too.

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
        self._open: list[_Open] = []

    def attach(self, run: Run | None) -> None:
        """Phases of this run from now on; none without one."""
        self.training()
        self._run = run
        self.models = set()
        self.step = 0

    def begin(self, phase: str) -> bool:
        """Training is interrupted; false if it is by such a phase already, or nothing is recorded."""
        run = self._run
        if run is None or not self.step or self._clock.in_backward or run.state != "running":
            return False
        if self._open and (phase == "evaluation" or self._open[-1].name == phase):
            return False
        if not self._open:
            self.interrupted = True
            self._clock.leave(phase)
            self._gaps.interrupt()
        self._open.append(_Open(phase, run.phase(phase)))
        return True

    def end(self) -> None:
        """The last phase that began is over, unless training has gone on already."""
        if not self._open:
            return
        opened = self._open.pop()
        opened.entered.__exit__(None, None, None)
        whole = perf_counter() - opened.began
        if self._open:
            self._open[-1].others += whole
        else:
            self.interrupted = False
            self._clock.come_back()
        if self._run is not None and self._run.state == "running":
            key = f"time/{SHORT[opened.name]}"
            log_aside(self._run, {key: whole - opened.others}, self.step, "all")
            report(key, "recorded", "pytorch")

    def training(self) -> None:
        """Training goes on, if it was interrupted."""
        while self._open:
            self.end()

    def around_train(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `nn.Module.train`, which `eval` calls too."""
        changed = guarded("noticing an evaluation")(self._mode)

        def train(module: Any, mode: bool = True) -> Any:
            if tracing() or (mode and not self.interrupted):  # called for each part of a model, by some at every step
                return original(module, mode)
            if id(module) in self.models:
                changed(training=mode)
            return original(module, mode)

        return train

    def around_eval(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `nn.Module.eval`, where `train` is not listened to."""
        changed = guarded("noticing an evaluation")(self._mode)

        def eval(module: Any) -> Any:  # noqa: A001 - what it replaces
            if not tracing() and id(module) in self.models:
                changed(training=False)
            return original(module)

        return eval

    def around_save(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For functions that write a checkpoint."""
        begin = guarded("noticing a checkpoint")(self.begin)
        end = guarded("noticing a checkpoint")(self.end)

        def save(*args: Any, **kwargs: Any) -> Any:
            mine = begin("checkpoint")
            try:
                return original(*args, **kwargs)
            finally:
                if mine:
                    end()

        return save

    def _mode(self, *, training: bool) -> None:
        if training:
            self.training()
        else:
            self.begin("evaluation")
