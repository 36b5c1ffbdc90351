"""The values that a function differentiates, and which of them is the loss of a step."""

from __future__ import annotations

import functools
import operator
from typing import Any, NamedTuple

import jax

from rankzero_jax.internals import operation_of
from rankzero_jax.kinds import is_part, kind_of, shapes_of
from rankzero_jax.shares import Shares, shares_in


class Loss(NamedTuple):
    """A value and the kind of its gradients."""

    value: Any
    kind: int


class Differentiated:
    """Those of one function while it is being traced.

    The loss of a step is what its gradients are the gradients of: a sum of values where theirs were added, their mean where that
    was divided, and of a value at whose gradients another was only looked for (sharpness-aware training), the other.
    """

    def __init__(self) -> None:
        self._losses: list[Loss] = []
        self._known: dict[int, int] = {}
        self._kept: list[Any] = []

    def __len__(self) -> int:
        """How many there are so far."""
        return len(self._losses)

    def add(self, value: Any, gradients: Any, kind: int | None = None) -> None:
        """One was.

        Args:
            value: it has.
            gradients: of it, among other things that were computed with them.
            kind: of the gradients; by default they are nothing else.
        """
        computed = [leaf for leaf in jax.tree.leaves(gradients) if operation_of(leaf) is not None]
        self._known.update(dict.fromkeys(map(id, computed), len(self._losses)))
        self._kept += computed  # as long as their ids are known
        self._losses.append(Loss(value, kind_of(gradients) if kind is None else kind))

    def loss_of(self, gradients: Any) -> Any:
        """What an optimizer that is given these takes a step on; None if that is nothing that was seen, or cannot be told."""
        if not self._losses:
            return None
        shares = self._shares(gradients)
        if shares:
            return self._total(_joined(shares))
        kind = kind_of(gradients)
        alike = [loss for loss in self._losses if is_part(kind, loss.kind)]
        return alike[0].value if len(alike) == 1 else None

    def left_in(self, results: Any) -> list[Loss]:
        """What gradients among the results of the function, known by their shapes, are those of; each once."""
        if len(self._losses) <= 1:
            return self._losses
        shapes = {shape for loss in self._losses for shape in shapes_of(loss.kind)}
        shares = self._shares([leaf for leaf in jax.tree.leaves(results) if jax.numpy.shape(leaf) in shapes])
        if all(len(one) == 1 for one in shares):
            return [self._losses[number] for number in sorted({min(one) for one in shares})]
        value = self._total(_joined(shares)) if all(one.keys() == shares[0].keys() for one in shares) else None
        return [] if value is None else [Loss(value, self._losses[min(shares[0])].kind)]

    def _shares(self, results: Any) -> list[Shares]:
        leaves = jax.tree.leaves(results)
        return [shares for shares in shares_in(leaves, self._known) if shares] if self._losses else []

    def _total(self, shares: Shares) -> Any:
        if not all(share > 0 for share in shares.values()):
            return self._losses[min(shares)].value if len(shares) == 1 else None
        parts = [(self._losses[number].value, share) for number, share in sorted(shares.items())]
        return functools.reduce(operator.add, (value if share == 1 else value * share for value, share in parts))


def _joined(several: list[Shares]) -> Shares:
    """Of several parameters' gradients together: a value has a share if it has the same one wherever it has any."""
    found: Shares = {}
    for shares in several:
        for number, share in shares.items():
            found[number] = share if found.get(number, share) == share else float("nan")
    return found
