"""The loss a program trains on: the numbers on which it calls `backward`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, cast

from torch import Tensor
from torch.optim import Optimizer

from rankzero.plugin import report
from rankzero_pytorch.internals import shard_type
from rankzero_pytorch.zero_change.attribution import Attribution, key_of
from rankzero_pytorch.zero_change.model import Living

MOST_TOLD_APART = 16
"""Of more optimizers than this (one for each layer, say) nobody asks which a pass was for."""
MOST_LEFT = 4096
"""Losses of passes for other optimizers than those that step: so many may wait for theirs."""


class Losses:
    """Collects the scalars of backward passes until an optimizer steps.

    The loss of a step is their sum: what the gradient, which accumulates as well, is the gradient of. A program that divides
    each micro-batch's loss by their number gets the mean it means, and one that does not gets the sum it trains on. A
    GradScaler's factor is left out. Of several optimizers each has the losses of the passes that gave it gradients; a pass for
    two of them counts for the one that steps first.

    Attributes:
        backwards: how many backward passes there were, the program's micro-steps.
        closely: `begin` is to be called before each pass: there may be several optimizers.
        inside: a closure is being called by an optimizer, whose result is the loss.
        plain: what `backward` is called on is the loss itself; false inside closures and with a scaled loss.
        values: the losses that no step has taken yet.
        wanted: somebody is going to take them.
    """

    def __init__(self) -> None:
        self.backwards = 0
        self.inside = self.closely = False
        self.plain = self.wanted = True
        self._told = False
        self.values: list[float | Tensor] = []
        self._zeroed: dict[int, int] = {}  # by id of the parameter whose gradient it was
        self._scaled: tuple[Tensor, Tensor] | None = None
        self._attribution: Attribution | None = None
        self._led_to: dict[
            int, frozenset[int]
        ] = {}  # by index of the value, keys of the optimizers it is known to be for

    def tell_apart(self) -> None:
        """Optimizers that nobody has met are going to be used."""
        self._attribution, self.closely = None, True

    def meet(self, optimizers: Iterable[Optimizer]) -> None:
        """These optimizers are there."""
        self._met(self._attribution or Attribution(), optimizers)

    def _met(self, known: Attribution, optimizers: Iterable[Optimizer]) -> Attribution:
        known.meet(optimizers)
        self._attribution, self.closely = known, 1 < len(known) <= MOST_TOLD_APART
        return known

    def begin(self) -> None:
        """`backward` is about to be called."""
        known = self._attribution
        if known is None:
            if len(self.values) != 1:
                return
            known = self._met(Attribution(), Living().optimizers)
            self._led_to[0] = known.having_gradients()
        known.begin()

    def see(self, tensors: Any, gradients: Any) -> None:
        """`backward` is called on these."""
        count = len(self.values)
        self._collect(tensors, gradients)
        if self._attribution is not None and self.closely:
            led_to = self._attribution.end()
            self._led_to.update((index, led_to) for index in range(count, len(self.values)))

    def _collect(self, tensors: Any, gradients: Any) -> None:
        self.backwards += 1
        if type(tensors) is Tensor and gradients is None and self.plain and tensors.is_cpu:
            if self.wanted and tensors.numel() == 1:
                self.values.append(tensors.item())  # the common case, quickly
            return
        scaled, self._scaled = self._scaled, None
        self.plain = not self.inside
        if self.inside or not self.wanted:
            return
        given: Sequence[Any] = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
        weights = gradients if isinstance(gradients, (tuple, list)) else (gradients,)
        if any(weight is not None for weight in weights):
            if not self._told:
                self._told = True
                report("loss", "seen", "pytorch", "backward was called with a gradient, not on a scalar loss")
            return
        for tensor in given:
            value = scalar(scaled[1] if scaled is not None and scaled[0] is tensor else tensor)
            if value is not None:
                self.values.append(value)

    def scaled(self, result: Tensor, loss: Tensor) -> None:
        """A GradScaler made `result` of `loss`."""
        self._scaled = result, loss
        self.plain = False

    def zeroed(self, parameters: Iterable[Tensor]) -> None:
        """The gradients of these start anew, and so does the loss: nothing came of what was before."""
        self._zeroed.update(dict.fromkeys(map(id, parameters), len(self.values)))

    def take(self, optimizer: Optimizer) -> float | Tensor | None:
        """The loss that led to the step of this optimizer; None if no scalar was seen."""
        values = self.values
        if not values:
            return None
        if len(values) == 1 and not self._zeroed and not self._led_to:
            self.values = []
            return values[0]
        key = key_of(optimizer)
        start = self._zeroed.get(key, 0)
        others = {index for index, led_to in self._led_to.items() if led_to and key not in led_to}
        own = [value for index, value in enumerate(values) if index >= start and index not in others]
        self._leave(sorted(others))
        if not own:
            return None
        total = own[0]
        for value in own[1:]:
            total = total + value
        return total

    def drop(self) -> None:
        """Nothing came of the passes so far."""
        self._leave([])

    def _leave(self, indices: list[int]) -> None:
        """Only these values wait for a step."""
        kept = indices if len(indices) <= MOST_LEFT else []
        self.values = [self.values[index] for index in kept]
        if self._led_to:
            self._led_to = {new: self._led_to[old] for new, old in enumerate(kept)}
        if self._zeroed:
            left = {parameter: bisect_left(kept, start) for parameter, start in self._zeroed.items()} if kept else {}
            self._zeroed = {parameter: start for parameter, start in left.items() if start}


def scalar(value: Any) -> float | Tensor | None:
    """A loss as a number, on an accelerator as a copy there; None for what is no scalar."""
    if not isinstance(value, Tensor):
        return float(value) if isinstance(value, int | float) else None
    tensor = value
    if tensor.numel() != 1 or tensor.is_complex():
        return None
    shard = shard_type()
    if shard is not None and isinstance(tensor, shard):
        whole: Any = tensor.detach()
        if not all(placement.is_replicate() for placement in whole.placements):
            return None
        tensor = whole.to_local()
    if tensor.device.type == "cpu":
        return cast("float", tensor.item())
    found: Tensor = tensor.detach().reshape(()).clone()
    return found
