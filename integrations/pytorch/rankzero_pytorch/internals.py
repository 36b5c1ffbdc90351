"""Every name of PyTorch's own that is used here, in one place, so that a new release is checked by reading one file."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import torch
from torch import Tensor
from torch._compile import _disable_dynamo
from torch.compiler import is_dynamo_compiling
from torch.utils.data import dataloader

P = ParamSpec("P")
T = TypeVar("T")

BIGGEST_SUM = 1 << 20
"""Elements a CPU sums in one go with float32's precision; above that the norm drifts by more than 1e-3."""


def compiling() -> bool:
    """Whether this code is being compiled, or runs where Python code that is called may be."""
    return is_dynamo_compiling() or compiler_of_frames() is not None


tracing = is_dynamo_compiling
"""Whether the compiler is looking at this very code; a cheaper question than `compiling`."""


def uncompiled(function: Callable[P, T]) -> Callable[P, T]:
    """Have `torch.compile` leave this function and what it calls alone: it runs as it is, and nothing is recompiled.

    Only code that is being compiled takes the compiler's own way around a function, which costs ten times a plain call; and
    unlike `torch.compiler.disable` this does not import the compiler, which takes a second, before it is there.
    """
    around = cast("Callable[P, T]", _disable_dynamo(_marked(function)))

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if is_dynamo_compiling() or compiler_of_frames() is not None:  # `compiling()`, in the way of every step
            return around(*args, **kwargs)
        return function(*args, **kwargs)

    return call


def _marked(function: Callable[P, T]) -> Callable[P, T]:
    def around(*args: P.args, **kwargs: P.kwargs) -> T:  # the compiler leaves a mark on it, which a method cannot carry
        return function(*args, **kwargs)

    return around


def foreach_norm(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The L2 norm of each tensor, float32 or wider. All of one device and dtype, strided and not empty; not an empty list."""
    wide = torch.float64 if tensors[0].dtype == torch.float64 else torch.float32
    norms = torch._foreach_norm(list(tensors), 2, dtype=wide)  # noqa: SLF001  # pyright: ignore[reportPrivateImportUsage]
    return list(norms)


def shard_type() -> type[Tensor] | None:
    """The class of tensors laid over several ranks (DTensor), None if this process has not imported it."""
    module = sys.modules.get("torch.distributed.tensor")
    return None if module is None else cast("type[Tensor] | None", getattr(module, "DTensor", None))


def partitions() -> bool:
    """Whether optimizers may hold, instead of the model's parameters, this rank's part of all of them in flat tensors.

    DeepSpeed's ZeRO gives them such, and nothing else to tell them by.
    """
    return "deepspeed" in sys.modules and torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1


def capturing(device: torch.device) -> bool:
    """Whether this thread is recording a CUDA graph, in which nothing may be read and what is launched runs again."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


_frames = torch._C._dynamo.eval_frame  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue]
compiler_of_frames = getattr(_frames, "get_eval_frame_callback", lambda: None)
"""What compiles the Python functions that are called now; None where they run as they are."""

graph_task = torch._C._current_graph_task_id  # noqa: SLF001
"""Which backward pass this thread is in the middle of; -1 for none."""


def changes_of(tensor: Tensor) -> int:
    """How often a tensor was written to in place."""
    return tensor._version  # noqa: SLF001


class LoaderFacts(NamedTuple):
    """What a DataLoader's iterator knows: samples per batch, by how many ranks the data is shared out, and who collates."""

    batch_size: int | None
    ranks: int | None
    collates: bool


def loader_iterator() -> Any:
    """The class whose `__next__` every DataLoader's loop calls."""
    return dataloader._BaseDataLoaderIter  # noqa: SLF001


def loader_facts(iterator: Any) -> LoaderFacts:
    """See `LoaderFacts`."""
    batches = getattr(iterator, "_index_sampler", None)
    sampler = getattr(batches, "sampler", None)
    size, ranks = getattr(batches, "batch_size", None), getattr(sampler, "num_replicas", None)
    collates = getattr(iterator, "_collate_fn", None) is dataloader.default_collate
    return LoaderFacts(size if isinstance(size, int) else None, ranks if isinstance(ranks, int) else None, collates)


def scale_of(scaler: Any) -> Tensor | None:
    """A GradScaler's current factor, on its device; None for one that is switched off or has not scaled anything yet."""
    scale = getattr(scaler, "_scale", None)
    return scale if isinstance(scale, Tensor) else None


def waits() -> list[tuple[Any, str]]:
    """The functions in which Python waits for other ranks, beside the backward pass."""
    if not torch.distributed.is_available():
        return []
    return [(torch.distributed.Work, "wait"), (torch.distributed, "_broadcast_coalesced")]
