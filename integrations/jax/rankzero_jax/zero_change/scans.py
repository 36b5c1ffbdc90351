"""Loops of `jax.lax.scan`: what is seen in their body comes out stacked, a row for every turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rankzero_jax.taps import Tap, collecting, collector


def around_scan(original: Callable[..., Any]) -> Callable[..., Any]:
    """For `jax.lax.scan`; where nobody collects, the loop is left alone."""

    def scan(f: Any, *args: Any, **options: Any) -> Any:
        here = collector()
        if here is None:
            return original(f, *args, **options)

        def body(carry: Any, x: Any) -> tuple[Any, tuple[Any, list[Tap]]]:
            with collecting() as inner:
                carry, y = f(carry, x)
                return carry, (y, list(inner.taps))

        carry, (ys, taps) = original(body, *args, **options)
        here.taps.extend(taps)
        return carry, ys

    return scan
