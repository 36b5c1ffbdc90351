"""Samples of one model's gradients and parameters, taken at the optimizer steps that are due."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rankzero.plugin import Run, warn_once
from rankzero_pytorch.clipping import clipping
from rankzero_pytorch.gradients import Found, Gradients, Numbers
from rankzero_pytorch.histograms import Sampler
from rankzero_pytorch.internals import capturing, partitions
from rankzero_pytorch.numbering import Numbering
from rankzero_pytorch.parameters import Layout, Parameter, layout, named_parameters, partition
from rankzero_pytorch.schedule import READING_SPEED, Schedule
from rankzero_pytorch.steps import Closure
from rankzero_pytorch.transfer import Reading
from rankzero_pytorch.wanted import Names, Wanted
from rankzero_pytorch.weights import Weights


@dataclass(frozen=True, slots=True)
class Owned:
    """What an optimizer updates of the model."""

    optimizer: weakref.ref[Optimizer]
    groups: int
    parameters: list[Parameter]
    ids: frozenset[int]
    trained: int


class Sampling:
    """Listens to optimizer steps and samples the parameters of one model that they update.

    Several optimizers may share the model: they are sampled in the same step, and what stands for the whole model covers all
    of them. The sample is logged when the last has stepped, at the latest when the model's next step begins.

    Args:
        run: whose rank decides who measures: of a model that every rank holds whole, rank zero alone.
        model: kept weakly; nothing is attached to it. Of parameters without a model, their optimizer.
        every: optimizer steps between samples; None: as many as cost little.
        suffix: of the metrics' names.
        numbering: the steps' numbers.
        trained: parameters that some optimizer updates, as far as is known before any has stepped.
    """

    def __init__(
        self,
        run: Run,
        model: nn.Module | Optimizer,
        wanted: Wanted,
        *,
        every: int | None,
        suffix: str,
        numbering: Numbering,
        trained: Iterable[Tensor] = (),
    ) -> None:
        self.run = run
        self.model = weakref.ref(model, self._forget)
        self.wanted = wanted
        self.schedule = Schedule(every)
        self._suffix = suffix
        self._numbering = numbering
        self._sampler = Sampler()
        self._owned: dict[int, Owned] = {}
        self._trained = _trained(trained)
        self._lies = Layout()
        self._silent = False
        self._count_bad = False
        self._steps = 0
        self._due = False
        self._stepped: set[int] = set()
        self._measured: list[Gradients | Weights] = []
        self._covered = 0
        self._cost = 0.0
        self._count = 0
        self._next = 0
        self._alone: weakref.ref[Optimizer] | None = None
        self._groups = 0

    def pass_over(self, most: int | None = None) -> int | None:
        """Who knows of the model's steps otherwise need not have this listen to those that are not to be sampled.

        Args:
            most: of them, if not all until the next sample.

        Returns:
            How many steps it may miss from now on, and has taken note of; None for all.
        """
        if self._silent:
            return None
        self._due = False
        missed = self.schedule.next(self._steps) - self._steps - 1
        if most is not None:
            missed = min(missed, most)
        self._steps += missed
        return missed

    def before_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> Closure | None:
        """Measure what the optimizer is about to use; see `rankzero_pytorch.steps.Listener`."""
        if self._silent:
            return None
        alone = self._alone
        if (  # nothing is due, and that is quickly told
            alone is not None
            and self._steps + 1 < self._next
            and alone() is optimizer
            and len(optimizer.param_groups) == self._groups
            and not self._measured
        ):
            self._steps += 1
            self._due = False
            return None
        me = id(optimizer)
        owned = self._owned.get(me)
        if owned is None or owned.optimizer() is not optimizer or owned.groups != len(optimizer.param_groups):
            owned = self._meet(optimizer, count)
        if not owned.ids:
            return None
        if me in self._stepped or not self._stepped:
            self._begin(count)
        self._stepped.add(me)
        if not self._due or self._silent or capturing(owned.parameters[0].tensor.device):
            return None
        began = perf_counter()
        with torch.no_grad():
            if closure is None and self.wanted.gradients:
                self._measured.append(self._gradients(owned, optimizer))
            if self.wanted.parameters:
                self._measured.append(Weights(owned.parameters, self._lies, self.wanted, self._sampler))
        self._cost += perf_counter() - began
        return None

    def after_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> None:
        """Measure what the step left behind, and log when every parameter has had its step."""
        if not self._due or self._silent:
            return
        owned = self._owned.get(id(optimizer))
        if owned is None or not owned.ids or capturing(owned.parameters[0].tensor.device):
            return
        began = perf_counter()
        with torch.no_grad():
            if closure is not None and self.wanted.gradients:
                self._measured.append(self._gradients(owned, optimizer))
            for part in self._measured:
                if isinstance(part, Weights) and not part.vectors:
                    part.after()
        self._covered += owned.trained
        self._cost += perf_counter() - began
        if self._covered >= len(self._trained):
            self._emit()

    def end(self) -> None:
        """No step follows: what was measured of the last one is logged, though some parameters had none."""
        if self._measured:
            self._emit()

    def _begin(self, count: int) -> None:
        """A step of this model begins."""
        if self._measured:
            self._emit()
        self._stepped.clear()
        self._steps += 1
        self._count = count
        self._due = self.schedule.due(self._steps)
        self._next = self.schedule.next(self._steps)
        if self._due and self.run.state != "running":
            self._silent = True

    def _gradients(self, owned: Owned, optimizer: Optimizer) -> Gradients:
        unclipped = clipping.take(owned.ids)
        return Gradients(
            owned.parameters,
            self._lies,
            self.wanted,
            self._sampler,
            optimizer,
            unclipped=unclipped,
            count=self._count_bad,
        )

    def _emit(self) -> None:
        """Log what was measured in this step; it arrives from the device later."""
        measured, self._measured, self._covered = self._measured, [], 0
        began, count = perf_counter(), self._count
        vectors: dict[str, list[Tensor]] = {}
        for index, part in enumerate(measured):
            vectors.update({f"{index} {name}": found for name, found in part.vectors.items()})
            part.vectors = {}
        if not vectors:
            return
        on_host = next(iter(vectors.values()))[0].device.type == "cpu"
        if on_host:
            self._tell(next((p.bad for p in measured if isinstance(p, Gradients) and p.bad is not None), None), count)
        else:
            self._cost += sum(part.bytes_read for part in measured) / READING_SPEED
        names = Names(self._lies.spread, self._suffix)

        def decode(numbers: Numbers) -> dict[str, Any]:
            return self._row(measured, numbers, names, count, on_host=on_host)

        with torch.no_grad():
            reading = Reading(vectors, decode)
        self._numbering.log({"sample": reading}, count, "all" if names.spread else None)
        self.schedule.spent(self._cost + perf_counter() - began, self._steps)
        self._cost = 0.0
        self._next = self.schedule.next(self._steps)

    def _row(
        self, measured: list[Gradients | Weights], numbers: Numbers, names: Names, count: int, *, on_host: bool
    ) -> dict[str, Any]:
        """The metrics of a sample; runs in the writer thread."""
        row: dict[str, Any] = {}
        gradients = Found()
        for index, part in enumerate(measured):
            own = {name.split(" ", 1)[1]: found for name, found in numbers.items() if name.startswith(f"{index} ")}
            if isinstance(part, Weights):
                part.write(row, own, names)
            else:
                gradients.extend(part.read(own, self.wanted))
        if gradients.names:
            gradients.write(row, names, self.wanted)
            if not on_host:
                self._tell(gradients.first_bad(), count)
        return row

    def _tell(self, bad: str | None, count: int) -> None:
        """Say that gradients have become infinite, and which was the first."""
        if bad is not None and not self._count_bad:
            message = f"the gradient of {bad} is not finite"
            self.run.event("nonfinite", message, parameter=bad, optimizer_step=count)
            warn_once(f"nonfinite {id(self.run)}", f"{message} at optimizer step {count}; it is the first in the model")
        self._count_bad = bad is not None

    def _meet(self, optimizer: Optimizer, count: int) -> Owned:
        """An optimizer steps for the first time, or has another group: find out what of this model it updates."""
        model = self.model()
        named = named_parameters(model) if isinstance(model, nn.Module) else []
        held = {id(tensor) for group in optimizer.param_groups for tensor in group["params"]}
        found = [parameter for parameter in named if id(parameter.tensor) in held]
        lies = layout(model, [p.tensor for p in named]) if isinstance(model, nn.Module) else Layout()
        if not found and (model is optimizer or (model is not None and partitions())):
            named = found = partition(optimizer)
            lies, self._trained = Layout(spread=partitions()), set()
        if found:
            self._lies = lies
            self._trained |= _trained(parameter.tensor for parameter in named)
            self._numbering.begin(optimizer, count, alike=self._lies.spread)
            self._silent = self.run.rank != 0 and not self._lies.spread
        owned = Owned(
            weakref.ref(optimizer),
            len(optimizer.param_groups),
            found,
            frozenset(id(parameter.tensor) for parameter in found),
            len(_trained(parameter.tensor for parameter in found)),
        )
        self._owned[id(optimizer)] = owned
        self._alone = owned.optimizer if len(self._owned) == 1 and owned.ids else None
        self._groups = owned.groups
        return owned

    def _forget(self, _: Any) -> None:
        """The model is gone, and the parameters with it."""
        self._silent = True
        self._owned.clear()
        self._measured.clear()


def _trained(parameters: Iterable[Tensor]) -> set[int]:
    """By id, those that want gradients now; a program may have some want none while it trains the others (adversaries do)."""
    return {id(tensor) for tensor in parameters if tensor.requires_grad}
