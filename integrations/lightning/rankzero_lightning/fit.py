"""The rows that a run gets from `Trainer.fit`: one of the job's and one of every rank's own for each batch that stepped."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from rankzero.plugin import Run, claim, log_aside, report
from rankzero_lightning.flavors import accumulates, batches_that_stepped, logged_names, scaler_of
from rankzero_lightning.phases import NAME, PRECEDENCE
from rankzero_pytorch.clipping import clipping
from rankzero_pytorch.internals import LoaderFacts, scale_of
from rankzero_pytorch.numbering import Numbering
from rankzero_pytorch.sampling import Sampling
from rankzero_pytorch.steps import Closure, steps
from rankzero_pytorch.wanted import Wanted
from rankzero_pytorch.zero_change.clock import Clock
from rankzero_pytorch.zero_change.gaps import Gaps
from rankzero_pytorch.zero_change.losses import Losses
from rankzero_pytorch.zero_change.optimizers import Tracked, number
from rankzero_pytorch.zero_change.samples import batch_size

_COLLATED = LoaderFacts(None, None, collates=True)

CLAIMS = 16
"""Steps between two looks at who claims what."""

QUANTITIES = ("loss", "optim/lr", "grad/norm", "time/step", "throughput/samples")


class Steps(Numbering):
    """Knows a step's number from Lightning: how many batches had stepped before it, as every Lightning logger is told."""

    def __init__(self, run: Run) -> None:
        super().__init__(run, first=0)
        self._numbers: dict[int, int] = {}

    def begin(self, *_: Any, **__: Any) -> None:
        """Nothing is to be found out."""

    def mark(self, count: int, step: int) -> None:
        """This process's `count`-th optimizer step is the run's step `step`."""
        self._numbers.pop(count - 2, None)
        self._numbers[count] = step

    def step(self, count: int) -> int:
        """The number of this process's `count`-th step."""
        return self._numbers.get(count, max(self._numbers.values(), default=0))


class Fit:
    """Listens to the optimizer steps of one fit, and is told of its batches.

    Args:
        wanted: what to record of gradients and parameters, None for nothing.
        every: optimizer steps between such samples; None: as many as cost little.
    """

    def __init__(
        self,
        run: Run,
        trainer: Any,
        module: nn.Module,
        clock: Clock,
        gaps: Gaps,
        *,
        wanted: Wanted | None,
        every: int | None,
    ) -> None:
        self._run = run
        self._clock = clock
        self._gaps = gaps
        self._losses = Losses()
        self._numbering = Steps(run)
        self._world = int(trainer.world_size)
        self._zero = run.rank == 0
        self._step = 0
        self._module = module
        self._scaler = scaler_of(trainer)
        self._device = getattr(module, "device", None)
        self._on_cpu = self._device is None or self._device.type == "cpu"
        self._tracked = {id(optimizer): Tracked(i + 1) for i, optimizer in enumerate(trainer.optimizers)}
        self._row: dict[str, Any] = {}
        self._samples = self._samples_taken = 0
        self._skips = 0
        self._stepped = self._looked = False
        self._backward_began = 0.0
        self.names: set[str] = set()
        """Of the user's own metrics, which ours never overwrite."""
        self._ours: set[str] = set()
        self._until_claim = 0
        self._sampling: Sampling | None = None
        if wanted is not None:
            self._sampling = Sampling(run, module, wanted, every=every, suffix="", numbering=self._numbering)

    def begin(self) -> None:
        """Listen from now on."""
        clipping.install()
        self._clock.forget()
        steps.add(self)

    def end(self) -> None:
        """The fit is over."""
        steps.remove(self)

    def before_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> Closure | None:
        """Sample gradients; see `rankzero_pytorch.steps.Listener`."""
        if id(optimizer) not in self._tracked:
            return None
        self._numbering.mark(count, self._step)
        if self._sampling is not None and "grad/norm" in self._ours:
            self._sampling.before_step(optimizer, closure, count)
        return None

    def after_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> None:
        """Take this optimizer's part of the row."""
        tracked = self._tracked.get(id(optimizer))
        if tracked is None:
            return
        self._stepped = True
        if self._zero:
            loss = self._losses.take(optimizer)
            if loss is not None and "loss" in self._ours and tracked.loss not in self.names:
                self._row[tracked.loss] = loss
            if "optim/lr" in self._ours:
                tracked.put_rates(self._row, optimizer)
        else:
            self._losses.drop()
        if self._sampling is not None:
            self._sampling.after_step(optimizer, closure, count)

    def batch_began(self, trainer: Any) -> None:
        """A batch is there."""
        self._step = batches_that_stepped(trainer)
        if not self._until_claim:
            self._claim()
        self._until_claim -= 1

    def backward_began(self, loss: Any) -> None:
        """The loss, as backward is about to be called on it: scaled where precision needs it."""
        if isinstance(loss, Tensor):
            if not self._on_cpu:
                self._gaps.begin()
            scale = None if self._scaler is None else scale_of(self._scaler)
            self._losses.see(loss if scale is None else loss.detach() / scale, None)
        self._backward_began = perf_counter()

    def backward_ended(self) -> None:
        """The gradients of a micro-batch are there."""
        self._clock.backward += perf_counter() - self._backward_began
        if not self._on_cpu and self._device is not None:
            self._gaps.end(self._device)

    def batch_ended(self, trainer: Any, batch: Any) -> None:
        """A batch was trained on; if the optimizer stepped, or was to, the rows are complete."""
        self._samples += batch_size(batch, _COLLATED)
        if not self._stepped:
            if accumulates(trainer, self._module):
                return
            if self._scaler is not None and scale_of(self._scaler) is not None:
                self._skips += 1
        self._stepped = False
        rate = self._time()
        row, self._row = self._row, {}
        if not self._zero:
            return
        if not self._looked:
            self._looked = True
            self.names |= logged_names(trainer)
        self._complete(row, trainer, rate)
        for name in self.names & row.keys():
            del row[name]
        log_aside(self._run, row, self._step)

    def _time(self) -> float:
        """Record where this rank's time went since the last step; returns samples per second of all ranks."""
        alone = self._world == 1
        spent = self._clock.take(alone=alone)
        on_device = None if self._on_cpu else self._gaps.take()
        new, self._samples_taken = self._samples - self._samples_taken, self._samples
        if spent is None or spent.step <= 0:
            return 0.0
        if "time/step" in self._ours:
            busy = spent.busy if on_device is None or alone else on_device
            row = {"time/step": spent.step, "time/input": spent.input, "time/busy": busy}
            log_aside(self._run, row, self._step, "all")
        return new * self._world / spent.step

    def _complete(self, row: dict[str, Any], trainer: Any, rate: float) -> None:
        if rate and "throughput/samples" in self._ours:
            row["throughput/samples"] = rate
        if self._scaler is not None and (scale := scale_of(self._scaler)) is not None:
            row["optim/scale"] = number(scale)
            row["optim/skipped"] = self._skips
        row["progress/micro_step"] = trainer.fit_loop.total_batch_idx + 1
        row["progress/epoch"] = trainer.current_epoch
        row["trainer/global_step"] = trainer.global_step
        if self._samples:
            row["progress/samples"] = self._samples * self._world

    def _claim(self) -> None:
        """Ask which quantities are ours to record; say so in the capture report."""
        self._until_claim = CLAIMS
        for quantity in QUANTITIES:
            if quantity == "grad/norm" and self._sampling is None:
                continue
            if not claim(quantity, NAME, PRECEDENCE):
                self._ours.discard(quantity)
            elif quantity not in self._ours:
                self._ours.add(quantity)
                report(quantity, "recorded", NAME)
