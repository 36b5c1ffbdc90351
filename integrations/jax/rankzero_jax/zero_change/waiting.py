"""Losses of functions that differentiate and do not step: they wait for the optimizer step that takes their gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

from rankzero_jax.kinds import is_part


class _Waiting(NamedTuple):
    value: Any
    several: bool
    takers: set[int]


class Waiting:
    """Of one loop, by the kind of their gradients.

    What comes of gradients between two calls, JAX does not tell: where several values of one kind wait, they may be added (small
    batches), averaged, or one of them not be used. Then the step has no loss.

    Attributes:
        unclear: there was such a step.
    """

    def __init__(self) -> None:
        self.unclear = False
        self._of: dict[int, _Waiting] = {}

    def put(self, value: Any, kind: int) -> None:
        """A value was differentiated, with gradients of a kind."""
        known = self._of.get(kind)
        self._of[kind] = _Waiting(value, known is not None and not known.takers, set())

    def take(self, training: int, kind: int | None) -> Any:
        """The loss of a step: the only value whose gradients it can have been given; None if there is none, or several are.

        Args:
            training: that the step belongs to.
            kind: of its gradients; None where they were computed in its own program, of several values.
        """
        if kind is None:
            self.unclear = True
            return None
        fits = [kind] if kind in self._of else [known for known in self._of if is_part(kind, known)]
        fresh = [found for found in map(self._of.__getitem__, fits) if training not in found.takers]
        for found in fresh:
            found.takers.add(training)
        if len(fresh) == 1 and not fresh[0].several:
            return fresh[0].value
        self.unclear |= bool(fresh)
        return None
