"""Gradients set to zero: whatever loss came before leads to no step."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from rankzero.plugin import guarded
from rankzero_pytorch.internals import compiler_of_frames, tracing
from rankzero_pytorch.zero_change.losses import Losses


def around_zero_grad(losses: Losses) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For `Optimizer.zero_grad`."""
    zeroed = guarded("noticing that gradients are set to zero")(losses.zeroed)

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def zero_grad(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            if not tracing() and losses.values and compiler_of_frames() is None:
                zeroed(optimizer)
            return original(optimizer, *args, **kwargs)

        zero_grad.__signature__ = signature(original)  # type: ignore[attr-defined] # accelerate asks for it at every step
        return zero_grad

    return around
