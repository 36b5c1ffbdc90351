"""Which optimizers a backward pass is for, where a program has several: those whose parameters it gave gradients to."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator

from torch import Tensor
from torch.optim import Optimizer

from rankzero_pytorch.internals import changes_of

LOOKED_AT = 4
"""At most so many parameters of an optimizer stand for all of them, spread evenly: a pass may well leave some of them out."""

Parameters = list[weakref.ref[Tensor]]
State = list[tuple[Tensor | None, int]]


class Attribution:
    """Compares the gradients of some parameters of each optimizer before and after a backward pass.

    An optimizer is known by the first parameter it updates: one that wraps another is the same.
    """

    def __init__(self) -> None:
        self._known: dict[int, Parameters] = {}
        self._before: dict[int, State] = {}

    def __len__(self) -> int:
        """How many of the optimizers that were met are still there."""
        self._known = {key: some for key, some in self._known.items() if any(tensor() is not None for tensor in some)}
        return len(self._known)

    def meet(self, optimizers: Iterable[Optimizer]) -> None:
        """From now on passes are told apart by these as well."""
        self._known.update((key_of(optimizer), _some(list(parameters_of(optimizer)))) for optimizer in optimizers)

    def begin(self) -> None:
        """A backward pass is about to begin."""
        self._before = {key: _state(some) for key, some in self._known.items()}

    def end(self) -> frozenset[int]:
        """By key, the optimizers that the pass which began last was for."""
        before, self._before = self._before, {}
        states = ((key, state, self._known.get(key)) for key, state in before.items())
        return frozenset(key for key, state, some in states if some and _differs(state, _state(some)))

    def having_gradients(self) -> frozenset[int]:
        """By key, the optimizers that any pass so far was for, if none has stepped."""
        states = ((key, _state(some)) for key, some in self._known.items())
        return frozenset(key for key, state in states if any(grad is not None for grad, _ in state))


def parameters_of(optimizer: Optimizer) -> Iterator[Tensor]:
    """What the optimizer updates."""
    return (parameter for group in optimizer.param_groups for parameter in group["params"])


def key_of(optimizer: Optimizer) -> int:
    """What an optimizer, and any around it, is known by."""
    return id(next(parameters_of(optimizer), None))


def _some(parameters: list[Tensor]) -> Parameters:
    trained = [tensor for tensor in parameters if tensor.requires_grad] or parameters
    return [weakref.ref(tensor) for tensor in trained[:: -(-len(trained) // LOOKED_AT) or 1]]


def _state(parameters: Parameters) -> State:
    found: State = []
    for parameter in parameters:
        tensor = parameter()
        grad = None if tensor is None else tensor.grad
        found.append((grad, 0 if grad is None else changes_of(grad)))
    return found


def _differs(before: State, after: State) -> bool:
    return any(old is not new or then != now for (old, then), (new, now) in zip(before, after, strict=True))
