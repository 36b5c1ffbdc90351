"""The loss a program trains on: the numbers on which it calls `backward`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from torch import Tensor
from torch.optim import Optimizer

from rankzero.plugin import report
from rankzero_pytorch.internals import shard_type


class Losses:
    """Collects the scalars of backward passes until an optimizer steps.

    The loss of a step is their sum: what the gradient, which accumulates as well, is the gradient of. A program that divides
    each micro-batch's loss by their number gets the mean it means, and one that does not gets the sum it trains on. A
    GradScaler's factor is left out.

    Attributes:
        backwards: how many backward passes there were, the program's micro-steps.
        inside: a closure is being called by an optimizer, whose result is the loss.
        plain: what `backward` is called on is the loss itself; false inside closures and with a scaled loss.
        values: the losses that no step has taken yet.
        wanted: somebody is going to take them.
    """

    def __init__(self) -> None:
        self.backwards = 0
        self.inside = False
        self.plain = self.wanted = True
        self._told = False
        self.values: list[float | Tensor] = []
        self._zeroed: dict[int, int] = {}  # by id of the parameter whose gradient it was
        self._scaled: tuple[Tensor, Tensor] | None = None

    def see(self, tensors: Any, gradients: Any) -> None:
        """`backward` is called on these."""
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
        if len(values) == 1 and not self._zeroed:
            self.values = []
            return values[0]
        start = self._zeroed.get(id(next(parameters_of(optimizer), None)), 0)
        self.drop()
        if start >= len(values):
            return None
        total = values[start]
        for value in values[start + 1 :]:
            total = total + value
        return total

    def drop(self) -> None:
        """Nothing came of the passes so far."""
        self.values = []
        if self._zeroed:
            self._zeroed = {}


def parameters_of(optimizer: Optimizer) -> Iterator[Tensor]:
    """What the optimizer updates."""
    return (parameter for group in optimizer.param_groups for parameter in group["params"])


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
