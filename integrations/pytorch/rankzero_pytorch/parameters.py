"""What a model's parameters are called, and which part of each lies on this rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rankzero_pytorch.internals import shard_type

WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Path elements that compilers and wrappers put into a parameter's name."""

_SPARSE_ROWS = frozenset({torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter under the name the user would give it."""

    name: str
    tensor: Tensor


@dataclass(frozen=True, slots=True)
class Local:
    """This rank's part of a tensor, as plain strided real numbers, not empty.

    `copies` is how many ranks hold the same part: a sum over all ranks counts it once when each divides by that.
    """

    tensor: Tensor
    copies: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How a model lies over the ranks of its job.

    Attributes:
        spread: some parameters lie in parts on several ranks, so that no rank knows a norm of the whole.
        copies: how many ranks hold the same plain tensor, in a model that is spread.
        around: how many ranks hold the same part because DistributedDataParallel replicates the whole.
    """

    spread: bool = False
    copies: int = 1
    around: int = 1


def unwrapped(model: nn.Module) -> nn.Module:
    """The user's model inside `torch.compile`, DistributedDataParallel, DataParallel, FullyShardedDataParallel and DeepSpeed's engine."""
    for outer in wrappers(model):
        model = outer
    return model


def wrappers(model: nn.Module) -> Iterator[nn.Module]:
    """The model, what it wraps if it is a wrapper, and so on to the user's own."""
    inner: dict[str, Any] = {
        "OptimizedModule": "_orig_mod",
        "DistributedDataParallel": "module",
        "DataParallel": "module",
        "FullyShardedDataParallel": "_fsdp_wrapped_module",
        "DeepSpeedEngine": "module",
    }
    yield model
    while (name := inner.get(type(model).__name__)) is not None and isinstance(getattr(model, name, None), nn.Module):
        model = getattr(model, name)
        yield model


def named_parameters(model: nn.Module) -> list[Parameter]:
    """The parameters of a model, each tied one once, under the names they have without wrappers."""
    return [Parameter(_plain(name), tensor) for name, tensor in unwrapped(model).named_parameters()]


def partition(optimizer: Optimizer) -> list[Parameter]:
    """The tensors an optimizer updates, under their numbers: all that is known of parameters without a model."""
    groups = [group["params"] for group in optimizer.param_groups]
    return [Parameter(f"{i}.{j}", tensor) for i, group in enumerate(groups) for j, tensor in enumerate(group)]


def layout(model: nn.Module | None, tensors: Sequence[Tensor]) -> Layout:
    """How the model that has these parameters lies over the ranks."""
    around = copies = 1
    spread = False
    for wrapper in [] if model is None else wrappers(model):
        kind = type(wrapper).__name__
        group: Any = getattr(wrapper, "process_group", None)
        strategy: Any = getattr(wrapper, "sharding_strategy", None)
        if kind == "DistributedDataParallel":
            around *= group.size()
        elif kind == "FullyShardedDataParallel" and strategy is not None:
            spread = spread or strategy.name != "NO_SHARD"
            copies = torch.distributed.get_world_size() // group.size()
    shard = shard_type()
    if shard is not None:
        meshes = [tensor.device_mesh.size() for tensor in tensors if isinstance(tensor, shard)]  # type: ignore[attr-defined]
        if meshes:
            spread, copies = True, max(meshes)
    return Layout(spread, copies * around, around) if spread else Layout()


def local(tensor: Tensor, lies: Layout) -> Local | None:
    """This rank's part of a tensor; None for what has no numbers here: meta tensors, empty shards, pending sums.

    Complex numbers become pairs, sparse gradients their values. A gradient that is still a sum over ranks ("Partial") has no
    norm without a collective and is left out, like an uncoalesced sparse one on an accelerator, where adding duplicates up
    would stop the host.
    """
    copies = lies.copies
    shard = shard_type()
    if shard is not None and isinstance(tensor, shard):
        whole: Any = tensor
        if any(placement.is_partial() for placement in whole.placements):
            return None
        copies = lies.around
        for size, placement in zip(whole.device_mesh.shape, whole.placements, strict=True):
            copies *= size if placement.is_replicate() else 1
        tensor = whole.to_local()
    plain = _strided(tensor)
    if plain is None or plain.numel() == 0 or plain.device.type == "meta" or not plain.is_floating_point():
        return None
    return Local(plain, copies)


def flat(tensor: Tensor) -> Tensor:
    """All elements in one dimension, without a copy wherever memory has no gaps; their order means nothing."""
    if tensor.is_contiguous():
        return tensor.view(-1)
    if _dense(tensor):
        return tensor.as_strided((tensor.numel(),), (1,))
    return tensor.reshape(-1)


def _dense(tensor: Tensor) -> bool:
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def _strided(tensor: Tensor) -> Tensor | None:
    if tensor.layout is torch.sparse_coo:
        if not tensor.is_coalesced():
            if tensor.device.type != "cpu":
                return None
            tensor = tensor.coalesce()
        tensor = tensor.values()
    elif tensor.layout in _SPARSE_ROWS:
        tensor = tensor.values()
    elif tensor.layout is not torch.strided:
        return None
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _plain(name: str) -> str:
    if not any(wrapper in name for wrapper in WRAPPERS):
        return name
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)
