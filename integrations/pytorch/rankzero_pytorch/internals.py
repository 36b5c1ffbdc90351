"""Every name of PyTorch's own that is used here, in one place, so that a new release is checked by reading one file."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch import Tensor
from torch._compile import _disable_dynamo
from torch.compiler import is_dynamo_compiling

P = ParamSpec("P")
T = TypeVar("T")

BIGGEST_SUM = 1 << 20
"""Elements a CPU sums in one go with float32's precision; above that the norm drifts by more than 1e-3."""


def uncompiled(function: Callable[P, T]) -> Callable[P, T]:
    """Have `torch.compile` leave this function and what it calls alone: it runs as it is, and nothing is recompiled.

    Only code that is being compiled takes the compiler's own way around a function, which costs ten times a plain call; and
    unlike `torch.compiler.disable` this does not import the compiler, which takes a second, before it is there.
    """
    around = cast("Callable[P, T]", _disable_dynamo(_marked(function)))

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if is_dynamo_compiling():
            return around(*args, **kwargs)
        return function(*args, **kwargs)

    return call


def _marked(function: Callable[P, T]) -> Callable[P, T]:
    def around(*args: P.args, **kwargs: P.kwargs) -> T:  # the compiler leaves a mark on it, which a method cannot carry
        return function(*args, **kwargs)

    return around


def inside_backward() -> bool:
    """Whether this thread is in the middle of a backward pass."""
    return torch._C._current_graph_task_id() != -1  # noqa: SLF001


def foreach_norm(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The L2 norm of each tensor, float32 or wider. All of one device and dtype, strided and not empty; not an empty list."""
    wide = torch.float64 if tensors[0].dtype == torch.float64 else torch.float32
    return list(torch._foreach_norm(list(tensors), 2, dtype=wide))  # noqa: SLF001


def shard_type() -> type[Tensor] | None:
    """The class of tensors laid over several ranks (DTensor), None if this process has not imported it."""
    module = sys.modules.get("torch.distributed.tensor")
    return None if module is None else cast("type[Tensor] | None", getattr(module, "DTensor", None))


def work_type() -> Any:
    """The class of a collective under way, whose `wait` is how Python waits for other ranks; None without distributed."""
    if not torch.distributed.is_available():
        return None
    return torch.distributed.Work


def capturing(device: torch.device) -> bool:
    """Whether this thread is recording a CUDA graph, in which nothing may be read and what is launched runs again."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()
