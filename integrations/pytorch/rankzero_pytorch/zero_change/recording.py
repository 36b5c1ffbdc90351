"""The rows that a run gets from a training loop."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from time import monotonic
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rankzero.plugin import Run, claim, guarded, report
from rankzero_pytorch.numbering import Numbering
from rankzero_pytorch.sampling import Sampling
from rankzero_pytorch.steps import Closure
from rankzero_pytorch.wanted import Wanted
from rankzero_pytorch.zero_change.attribution import parameters_of
from rankzero_pytorch.zero_change.losses import scalar
from rankzero_pytorch.zero_change.model import Living, describe, find_model, scheduler_of, trunk
from rankzero_pytorch.zero_change.optimizers import Tracked, hyperparameters
from rankzero_pytorch.zero_change.rows import NAME, OfJob, OfRank, Rows
from rankzero_pytorch.zero_change.seen import Seen

PRECEDENCE = 10
QUANTITIES = ("loss", "optim/lr", "time/step", "throughput/samples", "grad/norm")
LOOKS = 16
"""Steps between two looks at who claims what."""


class Recording:
    """One run's part of a loop: its optimizers and models, and what each step shows of the job and of this rank.

    Attributes:
        run: whose.
        look_at: the process's how manyth step to ask at who records what.
    """

    def __init__(self, run: Run, seen: Seen) -> None:
        self.run = run
        self._seen = seen
        self._numbering = Numbering(run, first=1)
        self._rows = Rows(run, self._numbering)
        self._optimizers: dict[int, tuple[weakref.ref[Optimizer], Tracked]] = {}
        self._held: dict[int, weakref.ref[Tensor]] = {}  # parameters that are sampled, by id
        self._samplings: list[Sampling] = []
        self._zero = run.rank == 0
        group = torch.distributed.is_available() and torch.distributed.is_initialized()
        self._ranks = torch.distributed.get_world_size() if group else 1
        self._alone = self._ranks == 1
        self._count = self._met = self.look_at = 0
        self._closure_loss: float | Tensor | None = None
        self._ours: frozenset[str] = frozenset()
        self._times = self._samples_gradients = False
        self._last: tuple[Callable[[], Optimizer | None], Tracked] = _nobody, Tracked(0)

    def before_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> Closure | None:
        """Sample gradients; see `rankzero_pytorch.steps.Listener`."""
        if self._last[0]() is not optimizer:
            known = self._optimizers.get(id(optimizer))
            if known is None or known[0]() is not optimizer:
                self._meet(optimizer, count)
            self._last = self._optimizers[id(optimizer)]
        if count >= self.look_at:
            self._look(count)
        if self._samples_gradients:
            for sampling in self._samplings:
                sampling.before_step(optimizer, closure, count)
        return None if closure is None else self._listening(closure)

    def pass_over(self) -> int:
        """How many steps from now on need not be listened to, if a framework tells of each: none of them will be sampled."""
        if len(self._optimizers) != 1 or len(self._samplings) > 1 or self._seen.scaling.scaler is not None:
            return 0
        if not self._samplings or not self._samples_gradients:
            return LOOKS
        missed = self._samplings[0].pass_over(LOOKS)
        return LOOKS if missed is None else missed

    def after_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> None:
        """Put down what the step showed."""
        self._put(optimizer, count)
        for sampling in self._samplings:
            sampling.after_step(optimizer, closure, count)

    def passed(self, count: int) -> None:
        """A step of the one optimizer there is, which was not listened to, is done."""
        optimizer = self._last[0]()
        if optimizer is not None:
            self._put(optimizer, count)

    def _put(self, optimizer: Optimizer, count: int) -> None:
        seen, numbering = self._seen, self._numbering
        of_rank: OfRank | None = None
        of_job: OfJob | None = None
        settled = not numbering.undecided or numbering.settled(count)
        number = numbering.step(count)
        begins = count != self._count
        if begins:
            self._count, seen.phases.step = count, number
            of_rank = self._of_rank()
        if self._zero:
            of_job = self._of_job(optimizer, count, begins=begins)
        elif seen.losses.values:
            seen.losses.drop()
        self._rows.put.append((monotonic(), count, number if settled else None, of_rank, of_job))

    def _of_rank(self) -> OfRank | None:
        """Where this rank's time went; None for the first step."""
        seen, alone = self._seen, self._alone
        spent = seen.clock.take(alone=alone)
        on_device = None if seen.gaps.device is None else seen.gaps.take()
        samples, seen.samples.new = seen.samples.new, 0
        if spent is None:
            seen.samples.trained()
        if spent is None or not self._times:
            return None
        busy = spent.busy if on_device is None or alone else on_device
        return spent, busy, samples if "throughput/samples" in self._ours else 0

    def _of_job(self, optimizer: Optimizer, count: int, *, begins: bool) -> OfJob | None:
        """What the step says of the job; None if there was something on a device, and all was logged."""
        seen, ours, tracked = self._seen, self._ours, self._last[1]
        loss = seen.losses.take(optimizer) if seen.losses.values else None
        if self._closure_loss is not None:
            loss, self._closure_loss = self._closure_loss, None
        if "loss" not in ours:
            loss = None
        rates = tracked.rates(optimizer) if "optim/lr" in ours else None
        seen.scaling.stepped += 1
        scaling = None if seen.scaling.scaler is None else seen.scaling.take(optimizer)
        samples = seen.samples
        progress = (seen.losses.backwards, samples.total * (samples.ranks or self._ranks)) if begins else None
        found: OfJob = tracked, loss, rates, scaling, progress
        if scaling is None and not isinstance(loss, Tensor) and not (rates and isinstance(rates[0], Tensor)):
            return found
        self._rows.log(count, found)
        return None

    def _look(self, count: int) -> None:
        """Ask which quantities are ours to record, and whether rows pile up."""
        self.look_at = count + LOOKS
        self._ours = frozenset(quantity for quantity in QUANTITIES if claim(quantity, NAME, PRECEDENCE))
        self._times, self._samples_gradients = "time/step" in self._ours, "grad/norm" in self._ours
        self._seen.losses.wanted = "loss" in self._ours
        self._rows.relieve()

    def _meet(self, optimizer: Optimizer, count: int) -> None:
        """The first step of an optimizer: get to know it and its model."""
        living = Living()
        self._numbering.begin(optimizer, count, alike=True, scheduler=scheduler_of(optimizer, living))
        self._met += 1
        tracked = Tracked(self._met)
        self._optimizers[id(optimizer)] = (weakref.ref(optimizer), tracked)
        self._seen.losses.meet([*living.optimizers, optimizer])
        self._describe(f"optimizer{tracked.suffix}", hyperparameters(optimizer))
        own = list(parameters_of(optimizer))
        if any(id(tensor) in self._held and self._held[id(tensor)]() is tensor for tensor in own):
            return
        model = find_model(optimizer, living)
        suffix = f"@{len(self._samplings) + 1}" if self._samplings else ""
        if model is not None:
            own += model.parameters()
            self._seen.phases.models |= trunk(model)
            self._describe(f"model{suffix}", describe(model))
        self._held.update((id(tensor), weakref.ref(tensor)) for tensor in own)
        self._sample(optimizer if model is None else model, suffix)

    def _describe(self, key: str, facts: dict[str, Any]) -> None:
        if self._zero and claim(key.partition("@")[0], NAME, PRECEDENCE):
            report(key, "recorded", NAME)
            self.run.config.update({key: facts}, source=NAME)

    def _sample(self, model: nn.Module | Optimizer, suffix: str) -> None:
        settings = self.run.settings
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
        sampling = Sampling(self.run, model, wanted, every=every, suffix=suffix, numbering=self._numbering)
        self._samplings.append(sampling)

    def _listening(self, closure: Closure) -> Closure:
        """The closure, with an ear on what it returns the first time: the loss at the parameters before the step."""
        losses = self._seen.losses
        keep = guarded("looking at a closure's value")(self._keep)
        called = False

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal called
            losses.inside, losses.plain = True, False
            try:
                result = closure(*args, **kwargs)
            finally:
                losses.inside, losses.plain = False, True
            if not called:
                called = True
                keep(result)
            return result

        return call

    def _keep(self, result: Any) -> None:
        self._closure_loss = scalar(result)


def _nobody() -> None:
    """In place of a reference to an optimizer, before there is one."""
