"""What gradients are a sum of: read off the operations that are traced between those that were computed and those that are used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rankzero_jax.internals import number_in, operation_of

Shares = dict[int, float]
"""By the number of a differentiated value, how much of its gradients there is: 0.5 of halved ones, NaN where that cannot be told."""

_OVER_DEVICES = "psum"
"""Its sum is over devices: how many are in it, the operation does not tell."""

_Known = Shares | None
"""Of anything in a program: empty of what is computed of numbers alone, None of what other things come into, but no gradients."""

_SUMS = {"add": (1, 1), "add_any": (1, 1), "sub": (1, -1)}
_FACTORS = {"mul", "div", "dot_general"}


def shares_in(values: Sequence[Any], known: Mapping[int, int]) -> list[Shares]:
    """The shares of each value.

    Args:
        values: that are being traced.
        known: by the id of a gradient that was computed, the number of the value it was computed of.
    """
    reader = _Reader(known)
    return [reader.read(value) or {} for value in values]


class _Reader:
    """Reads backwards what values were made of, as far as gradients that are known; each operation once."""

    def __init__(self, known: Mapping[int, int]) -> None:
        self._known = known
        self._done: dict[int, list[_Known]] = {}

    def read(self, value: Any) -> _Known:
        """Of one value; what it is made of is looked at first, in a list, for there may be more of it than Python can nest."""
        waiting = [value]
        while waiting:
            operation = self._unread(waiting[-1])
            before = [] if operation is None else [one for one in operation.invars if self._unread(one) is not None]
            if before:
                waiting += before
                continue
            if operation is not None:
                self._done[id(operation)] = _through(operation, [self._found(one) for one in operation.invars])
            waiting.pop()
        return self._found(value)

    def _unread(self, value: Any) -> Any:
        """The operation that has to be looked at for a value; None if there is none."""
        operation = None if id(value) in self._known else operation_of(value)
        return None if operation is None or id(operation) in self._done else operation

    def _found(self, value: Any) -> _Known:
        if id(value) in self._known:
            return {self._known[id(value)]: 1.0}
        operation = operation_of(value)
        if operation is None:
            return None if number_in(value) is None else {}
        results: list[_Known] = self._done[id(operation)]
        number: int = operation.outvars.index(value.val)
        return results[number]


def _through(operation: Any, given: list[_Known]) -> list[_Known]:
    """The shares in each result of an operation, of those in what it is given."""
    if operation.primitive.name == "jit":
        return _nested(operation.params["jaxpr"].jaxpr, given)
    there = [shares for shares in given if shares]
    nothing: _Known = None if None in given else {}
    return [_combined(operation, given, there) if there else nothing] * len(operation.outvars)


def _nested(jaxpr: Any, given: list[_Known]) -> list[_Known]:
    """The shares in the results of a compiled function that is called."""
    here: dict[int, _Known] = dict(zip(map(id, jaxpr.invars), given, strict=True))

    def found(one: Any) -> _Known:
        return here.get(id(one)) if number_in(one) is None else {}

    for operation in jaxpr.eqns:
        results = _through(operation, [found(one) for one in operation.invars])
        here.update(zip(map(id, operation.outvars), results, strict=True))
    return [found(one) for one in jaxpr.outvars]


def _combined(operation: Any, given: list[_Known], there: list[Shares]) -> Shares:
    """Of an operation on gradients.

    Sums and multiples by numbers are exact. What is done to gradients otherwise, such as clipping, does not change what they
    are a sum of, as long as nothing else comes in.
    """
    name, numbers = operation.primitive.name, [number_in(one) for one in operation.invars]
    if name in _SUMS:
        return _sum([_times(shares or {}, sign) for shares, sign in zip(given, _SUMS[name], strict=True)])
    factor = _factor(name, numbers)
    if factor is not None and len(there) == 1:
        return _times(there[0], factor)
    main = _main([*zip(operation.invars, given, strict=True)])
    known = [bool(shares) or number is not None for shares, number in zip(given, numbers, strict=True)]
    clear = None not in given and not name.startswith(_OVER_DEVICES) and (name not in _FACTORS or all(known))
    if clear and all(_is_like(shares, main) for shares in there):
        return main
    return _times(_sum(there), math.nan)


def _factor(name: str, numbers: list[float | None]) -> float | None:
    """By what an operation multiplies, if that is a number."""
    if name == "neg":
        return -1.0
    if name == "mul":
        return numbers[1] if numbers[0] is None else numbers[0]
    return 1 / numbers[1] if name == "div" and numbers[1] else None


def _main(given: list[tuple[Any, _Known]]) -> Shares:
    """Those of what has most axes, for it is what is changed: a number that is computed of gradients, as their norm, does that."""
    axes = [getattr(one.aval, "ndim", 0) if shares else -1 for one, shares in given]
    most = [shares or {} for (_, shares), number in zip(given, axes, strict=True) if number == max(axes)]
    return most[0] if all(shares == most[0] for shares in most) else {}


def _is_like(some: Shares, others: Shares) -> bool:
    """Whether they are the same but for a common factor."""
    if some.keys() != others.keys():
        return False
    first = min(some)
    return all(math.isclose(some[one] * others[first], others[one] * some[first]) for one in some)


def _sum(several: Sequence[Shares]) -> Shares:
    numbers = {number for shares in several for number in shares}
    return {number: sum(shares.get(number, 0.0) for shares in several) for number in numbers}


def _times(shares: Shares, factor: float) -> Shares:
    return {number: share * factor for number, share in shares.items()}
