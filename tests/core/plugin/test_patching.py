"""Functions of others replaced: once, one above the other, and put back."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from rankzero.plugin import replace, restore


def _one_more(original: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: original(x) + 1


def _twice(original: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: 2 * original(x)


def test_a_replacement_looks_like_the_original() -> None:
    """Its name and documentation, once however often; and it goes away again."""
    owner = SimpleNamespace(function=math.sqrt)
    assert replace(owner, "function", _one_more)
    assert replace(owner, "function", _one_more)
    assert (owner.function(4.0), owner.function.__name__, owner.function.__doc__) == (3.0, "sqrt", math.sqrt.__doc__)
    restore(owner, "function")
    assert owner.function is math.sqrt
    assert not replace(owner, "missing", _one_more)


def test_two_integrations_replace_the_same_function() -> None:
    """Each is called, each once; restored is what was there before both."""
    owner: Any = SimpleNamespace(function=math.sqrt)
    for around in (_one_more, _twice, _one_more):
        assert replace(owner, "function", around)
    assert owner.function(4.0) == 6.0
    restore(owner, "function")
    assert owner.function is math.sqrt
