"""Backward passes: what they start from and how long they take."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from torch import Tensor

from rankzero.plugin import guarded
from rankzero_pytorch.driving import driving
from rankzero_pytorch.internals import compiler_of_frames, tracing, uncompiled
from rankzero_pytorch.zero_change.clock import Clock
from rankzero_pytorch.zero_change.gaps import Gaps
from rankzero_pytorch.zero_change.losses import Losses
from rankzero_pytorch.zero_change.phases import Phases


class Backward:
    """Listens to `torch.autograd.backward`, which `Tensor.backward` calls as well."""

    def __init__(self, losses: Losses, clock: Clock, gaps: Gaps, phases: Phases) -> None:
        self._losses = losses
        self._clock = clock
        self._gaps = gaps
        self._phases = phases

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `torch.autograd.backward`."""
        clock, gaps, phases, losses = self._clock, self._gaps, self._phases, self._losses
        begin = guarded("looking at a backward pass")(self._begin)
        end = guarded("looking at a loss")(self._end)
        begin_loss = guarded("looking at who gets gradients")(losses.begin)

        def backward(tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any) -> Any:
            if tracing() or compiler_of_frames() is not None:
                return around(tensors, grad_tensors, *args, **kwargs)
            if driving.sees_all or clock.in_backward:  # the latter: a checkpointed part of the model is computed again
                return original(tensors, grad_tensors, *args, **kwargs)
            if phases.interrupted or gaps.device is not None:
                begin()
            if losses.closely:
                begin_loss()
            clock.in_backward = True
            began = perf_counter()
            try:
                return original(tensors, grad_tensors, *args, **kwargs)
            finally:
                clock.backward += perf_counter() - began
                clock.in_backward = False
                common = type(tensors) is Tensor and grad_tensors is None and losses.plain and tensors.is_cpu
                if common and not losses.closely:
                    losses.backwards += 1  # quickly
                    if losses.wanted and tensors.numel() == 1:
                        losses.values.append(tensors.item())
                else:
                    end(tensors, grad_tensors)

        around = uncompiled(backward)
        return backward

    def _begin(self) -> None:
        self._phases.training()
        self._gaps.begin()

    def _end(self, tensors: Any, gradients: Any) -> None:
        first = tensors if isinstance(tensors, Tensor) else tensors[0]
        if first.is_meta:  # shapes without values, to count operations: nothing was computed
            return
        self._losses.see(tensors, gradients)
        if not first.is_cpu:
            self._gaps.end(first.device)
