"""Where this package listens to PyTorch; nothing is listened to before `activate`."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from rankzero.plugin import after_import, replace
from rankzero_pytorch.clipping import clipping
from rankzero_pytorch.driving import driving
from rankzero_pytorch.internals import loader_iterator, waits
from rankzero_pytorch.steps import steps
from rankzero_pytorch.zero_change.loop import Loop
from rankzero_pytorch.zero_change.waits import around_wait
from rankzero_pytorch.zero_change.zeroing import around_zero_grad

Around = Callable[[Callable[..., Any]], Callable[..., Any]]

TENSORBOARD = ("torch.utils.tensorboard.writer", "tensorboardX.writer")


loop = Loop()
"""Of this process."""

_at_each_step: dict[tuple[Any, str], tuple[Any, Around]] = {}
"""Where this listens at every step: what stands there, and what makes it."""


def activate() -> Loop:
    """Listen to everything a training loop does that can be heard without changing it."""
    listen()
    for name in TENSORBOARD:
        after_import(name, loop.writers.install)
    return loop


def rest(*, resting: bool) -> None:
    """A framework whose integration sees to everything itself drives the loop from now on, or no longer does.

    What is heard at every step is taken out meanwhile, unless somebody else has wrapped it: then it only lets through.
    """
    if resting == driving.sees_all:
        return
    driving.sees_all = resting
    _leave_out({name for _, name in _at_each_step} if resting else set())
    if resting:
        loop.rest()
    else:
        loop.go_on()


def listen_without(*names: str) -> bool:
    """A framework drives the loop whose integration sees by itself what is heard at these functions, none of them again.

    Returns:
        Whether none of them is heard now: what somebody else has wrapped stays.
    """
    return _leave_out(set(names))


def _leave_out(names: set[str]) -> bool:
    left = True
    for (owner, name), (ours, around) in _at_each_step.items():
        found = owner.__dict__[name]
        if name in names and found is ours:
            setattr(owner, name, ours.__wrapped__)
        elif name in names:
            left = left and found is ours.__wrapped__
        elif found is ours.__wrapped__:
            setattr(owner, name, ours)
        else:
            replace(owner, name, around)
    return left


def listen() -> None:
    """Listen to PyTorch itself, whatever else the program logs with."""
    seen = loop.seen
    steps.add(loop)
    clipping.install()
    _listen_at_each_step(torch.autograd, "backward", loop.backward.around)
    for owner in (Optimizer, nn.Module):
        _listen_at_each_step(owner, "zero_grad", around_zero_grad(seen.losses))
    replace(GradScaler, "scale", seen.scaling.around_scale)
    replace(GradScaler, "step", seen.scaling.around_step)
    _listen_at_each_step(loader_iterator(), "__next__", seen.samples.around_next)
    replace(DataLoader, "__iter__", seen.samples.around_iter)
    _listen_at_each_step(nn.Module, "train", seen.phases.around_train)
    replace(nn.Module, "eval", seen.phases.around_eval)
    replace(torch, "save", seen.phases.around_save)
    for owner, name in waits():
        replace(owner, name, around_wait(seen.clock))

    def listen_to_checkpoints(module: ModuleType) -> None:
        replace(module, "save", seen.phases.around_save)
        replace(module, "async_save", seen.phases.around_save)

    after_import("torch.distributed.checkpoint.state_dict_saver", listen_to_checkpoints)


def _listen_at_each_step(owner: Any, name: str, around: Around) -> None:
    if (owner, name) not in _at_each_step:
        replace(owner, name, around)
        _at_each_step[owner, name] = owner.__dict__[name], around
