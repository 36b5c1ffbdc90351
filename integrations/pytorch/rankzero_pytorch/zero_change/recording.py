"""The rows that a run gets from a training loop."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rankzero.plugin import Run, claim, guarded, report
from rankzero_pytorch.numbering import Numbering
from rankzero_pytorch.sampling import Sampling
from rankzero_pytorch.steps import Closure
from rankzero_pytorch.wanted import Wanted
from rankzero_pytorch.zero_change.losses import scalar
from rankzero_pytorch.zero_change.model import Living, describe, find_model, scheduler_of, trunk
from rankzero_pytorch.zero_change.optimizers import Tracked, hyperparameters
from rankzero_pytorch.zero_change.seen import Seen

NAME = "pytorch"
PRECEDENCE = 10
QUANTITIES = ("loss", "optim/lr", "time/step", "throughput/samples", "grad/norm")
REPORTED = frozenset({*QUANTITIES, "time/input"}) - {"grad/norm"}
CLAIMS = 16
"""Steps between two looks at who claims what."""


class Recording:
    """One run's part of a loop: its optimizers and models, and a row (rank zero's and every rank's own) at each step."""

    def __init__(self, run: Run, seen: Seen) -> None:
        self._run = run
        self._seen = seen
        self._numbering = Numbering(run, first=1)
        self._optimizers: dict[int, tuple[weakref.ref[Optimizer], Tracked]] = {}
        self._held: set[int] = set()  # ids of parameters that are sampled
        self._samplings: list[Sampling] = []
        self._zero = run.rank == 0
        group = torch.distributed.is_available() and torch.distributed.is_initialized()
        self._ranks = torch.distributed.get_world_size() if group else 1
        self._count = 0
        self._closure_loss: float | Tensor | None = None
        self._ours: frozenset[str] = frozenset()
        self._unreported = set(REPORTED)

    def before_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> Closure | None:
        """Sample gradients; see `rankzero_pytorch.steps.Listener`."""
        known = self._optimizers.get(id(optimizer))
        if known is None or known[0]() is not optimizer:
            self._meet(optimizer, count)
        if count % CLAIMS == 1 or not self._ours:
            self._claim()
        if "grad/norm" in self._ours:
            for sampling in self._samplings:
                sampling.before_step(optimizer, closure, count)
        return None if closure is None else self._listening(closure)

    def after_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> None:
        """Record the step."""
        begins = count != self._count
        if begins:
            self._count = count
            self._time(count)
        if self._zero:
            row = self._row(optimizer, self._optimizers[id(optimizer)][1])
            if begins:
                self._put_progress(row)
            self._numbering.log(row, count)
            if self._unreported:
                self._report(row)
        else:
            self._seen.losses.drop()
        for sampling in self._samplings:
            sampling.after_step(optimizer, closure, count)

    def _time(self, count: int) -> None:
        """Record where this rank's time went since the last step, and how many samples it trained on."""
        seen, alone = self._seen, self._ranks == 1
        seen.phases.step = self._numbering.step(count)
        spent = seen.clock.take(alone=alone)
        on_device = seen.gaps.take()
        samples = seen.samples.take()
        if spent is None or "time/step" not in self._ours:
            return
        busy = spent.busy if on_device is None or alone else on_device
        row = {"time/step": spent.step, "time/input": spent.input, "time/busy": busy}
        if samples and "throughput/samples" in self._ours:
            row["throughput/samples"] = samples / spent.step
        self._numbering.log(row, count, "all")
        if self._unreported:
            self._report(row)

    def _row(self, optimizer: Optimizer, tracked: Tracked) -> dict[str, Any]:
        seen, ours = self._seen, self._ours
        row: dict[str, Any] = {}
        loss = seen.losses.take(optimizer)
        if self._closure_loss is not None:
            loss, self._closure_loss = self._closure_loss, None
        if loss is not None and "loss" in ours:
            row[tracked.loss] = loss
        if "optim/lr" in ours:
            tracked.put_rates(row, optimizer)
        seen.scaling.put(row, optimizer)
        return row

    def _put_progress(self, row: dict[str, Any]) -> None:
        """How far the loop was when the step's first optimizer had stepped."""
        seen = self._seen
        row["progress/micro_step"] = seen.losses.backwards
        if seen.samples.total:
            row["progress/samples"] = seen.samples.total * (seen.samples.ranks or self._ranks)

    def _claim(self) -> None:
        """Ask which quantities are ours to record."""
        self._ours = frozenset(quantity for quantity in QUANTITIES if claim(quantity, NAME, PRECEDENCE))

    def _report(self, row: dict[str, Any]) -> None:
        """Say in the capture report what is recorded, once."""
        for quantity in self._unreported & row.keys():
            self._unreported.remove(quantity)
            report(quantity, "recorded", NAME)

    def _meet(self, optimizer: Optimizer, count: int) -> None:
        """The first step of an optimizer: get to know it and its model."""
        living = Living()
        self._numbering.begin(optimizer, count, alike=True, scheduler=scheduler_of(optimizer, living))
        tracked = Tracked(len(self._optimizers) + 1)
        self._optimizers[id(optimizer)] = (weakref.ref(optimizer), tracked)
        self._describe(f"optimizer{tracked.suffix}", hyperparameters(optimizer))
        own = {id(tensor) for group in optimizer.param_groups for tensor in group["params"]}
        if own & self._held:
            return
        model = find_model(optimizer, living)
        suffix = f"@{len(self._samplings) + 1}" if self._samplings else ""
        if model is not None:
            own |= {id(tensor) for tensor in model.parameters()}
            self._seen.phases.models |= trunk(model)
            self._describe(f"model{suffix}", describe(model))
        self._held |= own
        self._sample(optimizer if model is None else model, suffix)

    def _describe(self, key: str, facts: dict[str, Any]) -> None:
        if self._zero and claim(key.partition("@")[0], NAME, PRECEDENCE):
            report(key, "recorded", NAME)
            self._run.config.update({key: facts}, source=NAME)

    def _sample(self, model: nn.Module | Optimizer, suffix: str) -> None:
        settings = self._run.settings
        if settings.gradients == "off":
            report("grad/norm", "off", NAME, "RANKZERO_GRADIENTS=off")
            return
        report("grad/norm", "recorded", NAME)
        report("weight/norm", "recorded", NAME)
        wanted = Wanted(
            parameters=True,
            each=settings.gradients in {"params", "hist"},
            histograms="sampled" if settings.gradients == "hist" else "none",
        )
        every = settings.log_every or None
        sampling = Sampling(self._run, model, wanted, every=every, suffix=suffix, numbering=self._numbering)
        self._samplings.append(sampling)

    def _listening(self, closure: Closure) -> Closure:
        """The closure, with an ear on what it returns the first time: the loss at the parameters before the step."""
        losses = self._seen.losses
        keep = guarded("looking at a closure's value")(self._keep)
        called = False

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal called
            losses.inside = True
            try:
                result = closure(*args, **kwargs)
            finally:
                losses.inside = False
            if not called:
                called = True
                keep(result)
            return result

        return call

    def _keep(self, result: Any) -> None:
        self._closure_loss = scalar(result)
