"""The rows that a run gets from `Trainer.fit`: one of the job's and one of every rank's own for each batch that stepped."""

from __future__ import annotations

import weakref
from time import monotonic, perf_counter
from typing import Any

from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from rankzero.plugin import Run, claim, recorded_before, report
from rankzero_lightning.counters import Counters
from rankzero_lightning.flavors import accumulates, scaler_of
from rankzero_lightning.phases import NAME, PRECEDENCE
from rankzero_lightning.rows import Shown, rows_of
from rankzero_pytorch.clipping import clipping
from rankzero_pytorch.internals import LoaderFacts, scale_of
from rankzero_pytorch.numbering import Numbering
from rankzero_pytorch.sampling import Sampling
from rankzero_pytorch.steps import Closure, steps
from rankzero_pytorch.wanted import Wanted
from rankzero_pytorch.zero_change.clock import Clock, Spent
from rankzero_pytorch.zero_change.gaps import Gaps
from rankzero_pytorch.zero_change.losses import Losses, scalar
from rankzero_pytorch.zero_change.optimizers import Tracked, number
from rankzero_pytorch.zero_change.samples import batch_size

_COLLATED = LoaderFacts(None, None, collates=True)

CLAIMS = 16
"""Steps between two looks at who claims what."""

QUANTITIES = ("loss", "optim/lr", "grad/norm", "time/step", "throughput/samples")

SAMPLES = "progress/samples"
_samples: weakref.WeakKeyDictionary[Run, int] = weakref.WeakKeyDictionary()
"""That a run's fits were trained on."""


class Steps(Numbering):
    """Knows a step's number from Lightning: how many batches had stepped before it, as every Lightning logger is told."""

    def __init__(self, run: Run, counters: Counters) -> None:
        super().__init__(run, first=0)
        self._counters = counters
        self._numbers: dict[int, int] = {}

    def begin(self, *_: Any, **__: Any) -> None:
        """Nothing is to be found out."""

    def mark(self, count: int) -> None:
        """This process's `count`-th optimizer step is that of the batch under way."""
        self._numbers.pop(count - 2, None)
        self._numbers[count] = self._counters.stepped

    def step(self, count: int) -> int:
        """The number of this process's `count`-th step."""
        return self._numbers.get(count, max(self._numbers.values(), default=0))


class Fit:
    """Is told of the batches of one fit, and listens to optimizers where that is needed.

    Where Lightning runs the one optimizer it says all there is to know of a step, and optimizers are listened to only at the
    steps at which gradients are sampled. Where the program steps them itself, a scaler may skip a step, or an optimizer calls
    its closure several times, every step and every backward pass counts.

    Args:
        wanted: what to record of gradients and parameters, None for nothing.
        every: optimizer steps between such samples; None: as many as cost little.

    Attributes:
        closely: every optimizer step and backward pass counts.
        hears: the hooks of Lightning's that it wants to be told of.
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
        self._rows = rows_of(run)
        self._clock = clock
        self._gaps = gaps
        self._losses = Losses()
        self._counters = Counters(trainer, module)
        self._numbering = Steps(run, self._counters)
        self._world = int(trainer.world_size)
        self._zero = run.rank == 0
        self._module = module
        self._scaler = scaler_of(trainer)
        self._device = getattr(module, "device", None)
        self._on_cpu = self._device is None or self._device.type == "cpu"
        self._tracked = {id(optimizer): Tracked(i + 1) for i, optimizer in enumerate(trainer.optimizers)}
        self._automatic = bool(module.automatic_optimization)
        self._only = next(iter(self._tracked.values()), Tracked(1))
        self.closely = not self._automatic or self._scaler is not None or _calls_again(trainer.optimizers)
        self._row: dict[str, Any] = {}
        self._samples = self._samples_taken = 0
        self._samples_before: int | None = None
        self._skips = self._missed = 0
        self._stepped = self._lost = False
        self._backward_began = 0.0
        self._ours: set[str] = set()
        self._until_claim = 0
        self._sampling: Sampling | None = None
        if wanted is not None:
            self._sampling = Sampling(
                run, module, wanted, every=every, suffix="", numbering=self._numbering, trained=module.parameters()
            )
        self._global_step = self._counters.now()[2]
        self.hears = {"on_train_batch_end"} if self.closely else set()
        if self.closely or self._world > 1 or not self._on_cpu:
            self.hears |= {"on_before_backward", "on_after_backward"}

    def begin(self) -> None:
        """Listen from now on."""
        clipping.install()
        self._clock.forget()
        self._listen()

    def end(self) -> None:
        """The fit is over."""
        steps.remove(self)
        if self._sampling is not None and self._run.state == "running":
            self._sampling.end()
        if self._zero and self._samples:
            _samples[self._run] = self._samples_so_far(self._counters.stepped)

    def _samples_so_far(self, step: int) -> int:
        """Of all ranks, in what went before in the run as well; 0 where they cannot be counted."""
        if not self._samples:
            return 0
        if self._samples_before is None:
            here = _samples.get(self._run) if step else 0
            self._samples_before = here or int(recorded_before(self._run, (SAMPLES,), step - 1).get(SAMPLES, 0))
        return self._samples_before + self._samples * self._world

    # -- an optimizer steps ---------------------------------------------------------------------------------------------

    def before_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> Closure | None:
        """Sample gradients; see `rankzero_pytorch.steps.Listener`."""
        if id(optimizer) not in self._tracked:
            return None
        if not self._until_claim:
            self._claim()
        self._numbering.mark(count)
        if self._sampling is not None and "grad/norm" in self._ours:
            self._sampling.before_step(optimizer, closure, count)
        return None

    def after_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> None:
        """Take this optimizer's part of the row."""
        tracked = self._tracked.get(id(optimizer))
        if tracked is None:
            return
        if self.closely:
            self._stepped = True
            if self._zero:
                self._take(self._losses.take(optimizer), tracked, optimizer)
            else:
                self._losses.drop()
        if self._sampling is not None and "grad/norm" in self._ours:
            self._sampling.after_step(optimizer, closure, count)

    def _take(self, loss: float | Tensor | None, tracked: Tracked, optimizer: Optimizer) -> None:
        if loss is not None and "loss" in self._ours:
            self._row[tracked.loss] = loss
        if "optim/lr" in self._ours:
            tracked.put_rates(self._row, optimizer)

    # -- a batch is trained on ------------------------------------------------------------------------------------------

    def backward_began(self, loss: Any) -> None:
        """The loss, as backward is about to be called on it: scaled where precision needs it."""
        if isinstance(loss, Tensor):
            if not self._on_cpu:
                self._gaps.begin()
            if self.closely and not (self._automatic and self._lost):  # a closure that is called again: the same batch
                self._lost = True
                scale = None if self._scaler is None else scale_of(self._scaler)
                self._losses.see(loss if scale is None else loss.detach() / scale, None)
        self._backward_began = perf_counter()

    def backward_ended(self) -> None:
        """The gradients of a micro-batch are there."""
        self._clock.backward += perf_counter() - self._backward_began
        if not self._on_cpu and self._device is not None:
            self._gaps.end(self._device)

    def batch_begins(self, optimizer: Any) -> None:
        """Lightning is about to train its one optimizer on a batch."""
        if not self._until_claim:
            self._claim()
        if self._zero and "optim/lr" in self._ours:
            self._only.put_rates(self._row, optimizer)

    def batch_ends(self, output: Any, given: Any) -> None:
        """It has; `given` is what the training step was called with."""
        t = monotonic()
        self._samples += batch_size(given.get("batch"), _COLLATED)
        if self._zero and "loss" in self._ours:
            self._add_loss(output.get("loss"))
        counts = self._counters.now()
        if counts[2] == self._global_step:
            return
        self._global_step = counts[2]
        self._show(t, counts)
        if self._missed:
            self._missed -= 1
            if not self._missed:
                steps.add(self)
        else:
            self._listen()

    def batch_ended(self, trainer: Any, batch: Any) -> None:
        """A batch was trained on; if the optimizer stepped, or was to, the rows are complete."""
        t = monotonic()
        if not self._until_claim:
            self._claim()
        self._samples += batch_size(batch, _COLLATED)
        self._lost = False
        if not self._stepped:
            if accumulates(trainer, self._module):
                return
            if self._scaler is not None and scale_of(self._scaler) is not None:
                self._skips += 1
        self._stepped = False
        self._show(t, self._counters.now())

    def _add_loss(self, given: Any) -> None:
        """The loss of a micro-batch, in Lightning's own copy."""
        loss = given.item() if self._on_cpu and type(given) is Tensor else scalar(given)
        if loss is not None:
            self._row["loss"] = self._row["loss"] + loss if "loss" in self._row else loss

    def _show(self, t: float, counts: tuple[int, int, int]) -> None:
        """Put down what this batch, which stepped, has shown."""
        alone = self._world == 1
        row, self._row = self._row, {}
        self._until_claim -= 1
        spent: Spent | None = self._clock.take(alone=alone)
        new, self._samples_taken = self._samples - self._samples_taken, self._samples
        if self._scaler is not None and (scale := scale_of(self._scaler)) is not None:
            row["optim/scale"] = number(scale)
            row["optim/skipped"] = self._skips
        shown = Shown(
            t,
            self._counters.stepped,
            row if self._zero else None,
            counts,
            self._samples_so_far(self._counters.stepped) if self._zero else 0,
            new * self._world if "throughput/samples" in self._ours else 0,
            spent if "time/step" in self._ours else None,
            None if self._on_cpu or alone else self._gaps.take(),
        )
        if self._on_cpu:
            self._rows.put(shown)
        else:
            self._rows.log(self._run, shown)

    def _listen(self) -> None:
        """Listen to the next step, if it is to be sampled; `_missed` counts those that need no listening."""
        if self.closely:
            steps.add(self)
            return
        missed = None if self._sampling is None else self._sampling.pass_over()
        self._missed = -1 if missed is None else missed
        if self._missed:
            steps.remove(self)
        else:
            steps.add(self)

    def _claim(self) -> None:
        """Ask which quantities are ours to record; say so in the capture report."""
        self._until_claim = CLAIMS
        if self._run.state != "running":
            self.end()
            self.hears.clear()
        for quantity in QUANTITIES:
            if quantity == "grad/norm" and self._sampling is None:
                continue
            if not claim(quantity, NAME, PRECEDENCE):
                self._ours.discard(quantity)
            elif quantity not in self._ours:
                self._ours.add(quantity)
                report(quantity, "recorded", NAME)


def _calls_again(optimizers: list[Any]) -> bool:
    """Whether an optimizer may call its closure several times in a step."""
    return any(isinstance(optimizer, LBFGS) for optimizer in optimizers)
