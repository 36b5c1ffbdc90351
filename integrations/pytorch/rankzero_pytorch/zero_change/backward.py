"""Backward passes: what they start from and how long they take."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from rankzero.plugin import guarded
from rankzero_pytorch.internals import inside_backward, uncompiled
from rankzero_pytorch.zero_change.clock import Clock
from rankzero_pytorch.zero_change.gaps import Gaps
from rankzero_pytorch.zero_change.losses import Losses
from rankzero_pytorch.zero_change.phases import Phases

_CPU = torch.device("cpu")


class Backward:
    """Listens to `torch.autograd.backward`, which `Tensor.backward` calls as well."""

    def __init__(self, losses: Losses, clock: Clock, gaps: Gaps, phases: Phases) -> None:
        self._losses = losses
        self._clock = clock
        self._gaps = gaps
        self._phases = phases
        self._device = _CPU

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `torch.autograd.backward`."""
        begin = guarded("looking at a loss")(self._begin)
        end = guarded("looking at a backward pass")(self._end)

        def backward(tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any) -> Any:
            if inside_backward():  # a checkpointed part of the model is computed again
                return original(tensors, grad_tensors, *args, **kwargs)
            begin(tensors, grad_tensors)
            began = perf_counter()
            try:
                return original(tensors, grad_tensors, *args, **kwargs)
            finally:
                end(perf_counter() - began)

        return uncompiled(backward)

    def _begin(self, tensors: Any, gradients: Any) -> None:
        self._phases.training()
        first = tensors if isinstance(tensors, Tensor) else tensors[0]
        self._device = first.device
        self._gaps.begin(self._device)
        self._losses.see(tensors, gradients)
        self._clock.in_backward = True

    def _end(self, seconds: float) -> None:
        self._clock.in_backward = False
        self._clock.add_backward(seconds)
        self._gaps.end(self._device)
