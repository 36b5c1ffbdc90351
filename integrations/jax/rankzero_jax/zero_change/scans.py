"""Loops of `jax.lax.scan`: what is seen in their body comes out stacked, a row for every turn."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rankzero_jax.internals import is_pair, unseen
from rankzero_jax.taps import collecting, collector


def around_scan(original: Callable[..., Any]) -> Callable[..., Any]:
    """For `jax.lax.scan`; where nobody collects, the loop is left alone."""

    @unseen
    def scan(f: Any, *args: Any, **options: Any) -> Any:
        here = collector()
        if here is None:
            return original(f, *args, **options)

        @functools.wraps(f, updated=())
        def body(carry: Any, x: Any) -> Any:
            with collecting(here.of) as inner:
                out = f(carry, x)
                if not is_pair(out):
                    return out  # JAX says so
                carry, y = out
                return carry, (y, list(inner.taps))

        carry, (ys, taps) = original(body, *args, **options)
        here.taps.extend(taps)
        return carry, ys

    return scan
