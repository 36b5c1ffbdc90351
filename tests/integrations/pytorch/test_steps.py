"""Optimizer steps as listeners hear of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Optimizer

from rankzero_pytorch.steps import Steps


class Ear:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, int]] = []
        self.replacement: Callable[[], Any] | None = None

    def before_step(self, optimizer: Optimizer, closure: Callable[[], Any] | None, count: int) -> Any:
        """The optimizer is about to step."""
        self.heard.append(("before", type(optimizer).__name__, count))
        return self.replacement if closure is not None else None

    def after_step(self, optimizer: Optimizer, closure: Callable[[], Any] | None, count: int) -> None:
        """It has stepped."""
        self.heard.append(("after", type(optimizer).__name__, count))


class Careful(SGD):
    """Calls its parent's step from its own, which PyTorch wraps both."""

    def step(self, closure: Any = None) -> Any:
        """Step."""
        return super().step(closure)


class Broken(SGD):
    """Fails while it steps."""

    def step(self, closure: Any = None) -> Any:
        """Fail."""
        raise FloatingPointError


@pytest.fixture
def ear() -> Iterator[Ear]:
    """Listens for the length of a test."""
    listener, steps = Ear(), Steps()
    steps.add(listener)
    yield listener
    steps.remove(listener)


def _model() -> nn.Module:
    model = nn.Linear(2, 1)
    model(torch.ones(1, 2)).sum().backward()
    return model


def test_a_step_is_heard_once(ear: Ear) -> None:
    """Before and after, with its number; also where a class steps through its parent."""
    model = _model()
    plain, careful = SGD(model.parameters()), Careful(model.parameters())
    plain.step()
    careful.step()
    assert ear.heard == [("before", "SGD", 1), ("after", "SGD", 1), ("before", "Careful", 1), ("after", "Careful", 1)]


def test_a_wrapper_counts_and_not_what_it_wraps(ear: Ear) -> None:
    """An optimizer that steps another one is one step."""
    model = _model()
    inner = SGD(model.parameters())

    class Wrapper(Optimizer):
        """Steps another optimizer."""

        def step(self, closure: Any = None) -> Any:
            """Step the other."""
            inner.step()

    outer = Wrapper(model.parameters(), {})
    outer.step()
    outer.step()
    assert ear.heard == [(when, "Wrapper", count) for count in (1, 2) for when in ("before", "after")]


def test_a_step_that_raised_is_over(ear: Ear) -> None:
    """The next one is not taken for a part of it."""
    model = _model()
    with pytest.raises(FloatingPointError):
        Broken(model.parameters()).step()
    SGD(model.parameters()).step()
    assert ear.heard == [("before", "Broken", 1), ("before", "SGD", 1), ("after", "SGD", 1)]


def test_optimizers_that_take_turns_share_a_step(ear: Ear) -> None:
    """Two by turns make one step a turn; the one that steps three times for the other's once makes three."""
    first, second = SGD(_model().parameters()), Careful(_model().parameters())
    for optimizer in (first, second, first, second, first, first, first, second):
        optimizer.step()
    assert [count for when, _, count in ear.heard if when == "before"] == [1, 1, 2, 2, 3, 4, 5, 5]


def test_a_closure_is_passed_on_and_may_be_replaced(ear: Ear) -> None:
    """Positional or by name; without a replacement it stays the user's own."""
    optimizer = SGD(_model().parameters())
    assert optimizer.step(lambda: 1.0) == 1.0
    assert optimizer.step(closure=lambda: 2.0) == 2.0
    ear.replacement = lambda: 3.0
    assert optimizer.step(lambda: 1.0) == 3.0
    assert optimizer.step(closure=lambda: 2.0) == 3.0


def test_optimizers_inside_backward_are_left_alone(ear: Ear) -> None:
    """One step per parameter, in the middle of a backward pass, is no step of the job."""
    model = nn.Linear(2, 1)
    optimizers = {parameter: SGD([parameter]) for parameter in model.parameters()}
    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(lambda p: optimizers[p].step())
    model(torch.ones(1, 2)).sum().backward()
    assert ear.heard == []


def test_nothing_is_left_behind() -> None:
    """Without listeners there are no hooks."""
    from torch.optim import optimizer

    listener, steps = Ear(), Steps()
    before = len(optimizer._global_optimizer_pre_hooks)
    steps.add(listener)
    assert len(optimizer._global_optimizer_pre_hooks) == before + 1
    steps.remove(listener)
    assert len(optimizer._global_optimizer_pre_hooks) == before
