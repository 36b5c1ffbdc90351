"""The model whose parameters an optimizer updates, found without its help, and what it looks like."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from rankzero_pytorch.parameters import named_parameters, unwrapped

MOST_LAYERS = 200


class Living:
    """The modules, optimizers and learning rate schedulers that there are.

    Looks once through everything Python keeps track of, some tens of milliseconds: they do not know of one another, and hooks
    on modules would make `torch.compile` compile them again.
    """

    def __init__(self) -> None:
        found = [item for item in gc.get_objects() if issubclass(type(item), (nn.Module, Optimizer, LRScheduler))]
        self.modules = [item for item in found if isinstance(item, nn.Module)]
        self.optimizers = [item for item in found if isinstance(item, Optimizer)]
        self.schedulers = [item for item in found if isinstance(item, LRScheduler)]


def scheduler_of(optimizer: Optimizer, living: Living) -> LRScheduler | None:
    """The scheduler of an optimizer's learning rates that has counted furthest."""
    own = [found for found in living.schedulers if getattr(found, "optimizer", None) is optimizer]
    return max(own, key=lambda found: found.last_epoch, default=None)


def find_model(optimizer: Optimizer, living: Living) -> nn.Module | None:
    """The outermost module that holds most of the optimizer's parameters; None if none does.

    DeepSpeed's optimizers hold parts of them in tensors of their own: there it is the one engine's.
    """
    wanted = {id(tensor) for group in optimizer.param_groups for tensor in group["params"]}
    inner: set[int] = set()
    owners: Counter[int] = Counter()
    for module in living.modules:
        inner.update(id(child) for child in _entries(module, "_modules"))
        owners[id(module)] = sum(id(tensor) in wanted for tensor in _entries(module, "_parameters"))
    best, most = None, (0, 0)
    for module in living.modules:
        if id(module) in inner:
            continue
        below = list(module.modules())
        score = (sum(owners[id(part)] for part in below), -len(below))
        if score[0] and score > most:
            best, most = module, score
    if best is None:
        engines = [module for module in living.modules if type(module).__name__ == "DeepSpeedEngine"]
        best = engines[0] if len(engines) == 1 else None
    return best


def trunk(model: nn.Module) -> set[int]:
    """The ids of the modules that hold more than half of a model's parameters: it, its wrappers, what it wraps itself."""
    whole = sum(tensor.numel() for tensor in model.parameters())
    found: set[int] = set()
    level = [model]
    while level:
        found.update(map(id, level))
        children = [child for module in level for child in module.children()]
        level = [c for c in children if 2 * sum(tensor.numel() for tensor in c.parameters()) > whole]
    return found


def describe(model: nn.Module) -> dict[str, Any]:
    """A model's class, size and layers: name, class and number of parameters of each that has its own, at most 200."""
    model = unwrapped(model)
    tensors = [parameter.tensor for parameter in named_parameters(model)]
    layers = []
    for name, module in model.named_modules():
        own = sum(_size(tensor) for tensor in _entries(module, "_parameters"))
        if own:
            layers.append([name, type(module).__name__, own])
    found: dict[str, Any] = {
        "class": type(model).__name__,
        "parameters": sum(map(_size, tensors)),
        "trainable": sum(_size(tensor) for tensor in tensors if tensor.requires_grad),
        "layers": layers[:MOST_LAYERS],
    }
    if len(layers) > MOST_LAYERS:
        found["more_layers"] = len(layers) - MOST_LAYERS
    return found


def _entries(module: nn.Module, table: str) -> list[Any]:
    entries = module.__dict__.get(table)
    return [entry for entry in entries.values() if entry is not None] if isinstance(entries, dict) else []


def _size(tensor: Any) -> int:
    """Elements of a parameter, also where DeepSpeed keeps it elsewhere."""
    return int(getattr(tensor, "ds_numel", tensor.numel()))
