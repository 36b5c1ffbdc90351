"""Gradients set to zero: whatever loss came before leads to no step, unless it is the step itself that does so at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import signature
from typing import Any

from torch import Tensor, nn

from rankzero.plugin import guarded
from rankzero_pytorch.internals import compiler_of_frames, tracing
from rankzero_pytorch.steps import steps
from rankzero_pytorch.zero_change.attribution import parameters_of
from rankzero_pytorch.zero_change.losses import Losses


def around_zero_grad(losses: Losses) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For `Optimizer.zero_grad` and `nn.Module.zero_grad`."""

    @guarded("noticing that gradients are set to zero")
    def zeroed(owner: Any) -> None:
        if steps.under_way:
            return
        parameters: Iterable[Tensor] = owner.parameters() if isinstance(owner, nn.Module) else parameters_of(owner)
        losses.zeroed(parameters)

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def zero_grad(owner: Any, *args: Any, **kwargs: Any) -> Any:
            if not tracing() and losses.values and compiler_of_frames() is None:
                zeroed(owner)
            return original(owner, *args, **kwargs)

        zero_grad.__signature__ = signature(original)  # type: ignore[attr-defined] # accelerate asks for it at every step
        return zero_grad

    return around
