"""The parts that listen to a training loop, each by itself."""

from __future__ import annotations

import gc
import importlib
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, TensorDataset

from rankzero.plugin import after_import, replace, restore
from rankzero_pytorch.internals import LoaderFacts
from rankzero_pytorch.zero_change.backward import Backward
from rankzero_pytorch.zero_change.clock import Clock
from rankzero_pytorch.zero_change.gaps import Gaps
from rankzero_pytorch.zero_change.losses import Losses
from rankzero_pytorch.zero_change.model import Living, describe, find_model, trunk
from rankzero_pytorch.zero_change.optimizers import Tracked, hyperparameters
from rankzero_pytorch.zero_change.phases import Phases
from rankzero_pytorch.zero_change.samples import Samples, batch_size

COLLATED = LoaderFacts(batch_size=4, ranks=None, collates=True)
BY_HAND = LoaderFacts(batch_size=4, ranks=None, collates=False)


@pytest.mark.parametrize(
    ("batch", "facts", "size"),
    [
        ([torch.ones(3, 8), torch.ones(3)], COLLATED, 3),
        ({"ids": torch.ones(5, 7), "mask": torch.ones(5, 7)}, COLLATED, 5),
        ((({"x": torch.ones(2, 9)},),), COLLATED, 2),
        (torch.ones(6, 2), COLLATED, 6),
        ([torch.ones(3, 10, 10)] * 4, BY_HAND, 4),
        (["a", "b"], COLLATED, 4),
        (torch.tensor(1.0), LoaderFacts(None, None, collates=True), 0),
    ],
)
def test_samples_of_a_batch(batch: Any, facts: LoaderFacts, size: int) -> None:
    """Whatever a loader delivers: tensors, dicts, nested, or a plain list of samples."""
    assert batch_size(batch, facts) == size


def test_a_loader_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are counted, waiting is timed, and the sampler says by how many ranks the data is shared out."""
    now = [0.0]
    monkeypatch.setattr("rankzero_pytorch.zero_change.samples.perf_counter", lambda: now[0])

    class Slow(IterableDataset[Tensor]):
        def __iter__(self) -> Any:
            for _ in range(2):
                now[0] += 0.05
                yield torch.ones(3)

    clock = Clock()
    samples = Samples(clock)
    cls = torch.utils.data.dataloader._BaseDataLoaderIter
    replace(cls, "__next__", samples.around_next)
    try:
        data = TensorDataset(torch.ones(16, 2))
        sampler: DistributedSampler[Any] = DistributedSampler(data, num_replicas=2, rank=0)
        assert len(list(DataLoader(data, batch_size=4, sampler=sampler))) == 2
        assert (samples.total, samples.ranks, samples.new) == (8, 2, 8)
        assert clock.input == 0.0
        list(DataLoader(Slow(), batch_size=2))
        assert clock.input == pytest.approx(0.1)
        clock.away = "evaluation"
        list(DataLoader(data, batch_size=4))
        assert samples.total == 10
    finally:
        restore(cls, "__next__")


def _listen(losses: Losses, clock: Clock) -> Any:
    gaps = Gaps()
    return Backward(losses, clock, gaps, Phases(clock, gaps)).around(torch.autograd.backward)


def test_the_loss_is_what_the_gradient_is_of() -> None:
    """The sum of the scalars since the last step, in the same units; backward with a gradient has none."""
    losses, clock = Losses(), Clock()
    backward = _listen(losses, clock)
    weight = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.SGD([weight])
    for factor in (1.0, 2.0):
        backward((weight * factor).sum())
    assert losses.take(optimizer) == 9.0
    assert losses.take(optimizer) is None
    backward([weight.sum(), (weight * 2).sum()])
    assert losses.take(optimizer) == 9.0
    backward(weight * 2, torch.ones(3))
    assert losses.take(optimizer) is None
    assert losses.backwards == 4
    assert clock.backward > 0


def test_a_loss_that_led_to_nothing_is_dropped() -> None:
    """Gradients set to zero before a step take their loss with them, for whichever optimizer of these parameters steps."""
    losses, weight = Losses(), torch.ones(3, requires_grad=True)
    first, second = torch.optim.SGD([weight]), torch.optim.SGD([torch.ones(3, requires_grad=True)])
    losses.see(torch.tensor(math.nan), None)
    losses.zeroed([weight])
    losses.see(torch.tensor(2.0), None)
    assert losses.take(first) == 2.0
    losses.see(torch.tensor(1.0), None)
    losses.zeroed([weight])
    losses.see(torch.tensor(2.0), None)
    assert losses.take(second) == 3.0


def test_an_error_in_backward_passes_through() -> None:
    """The program's own error reaches it, and the next backward pass is heard."""
    losses, clock = Losses(), Clock()
    backward = _listen(losses, clock)
    weight = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="scalar outputs"):
        backward(weight * 2)
    assert not clock.in_backward
    backward(weight.sum())
    assert losses.take(torch.optim.SGD([weight])) == 2.0


def test_counting_operations_is_no_training() -> None:
    """A backward pass of shapes without values, as operations are counted with, computes nothing and leaves nothing."""
    losses, clock = Losses(), Clock()
    backward = _listen(losses, clock)
    backward(torch.ones(2, requires_grad=True, device="meta").sum())
    weight = torch.ones(2, requires_grad=True)
    backward(weight.sum())
    assert losses.take(torch.optim.SGD([weight])) == 2.0


def test_recomputed_parts_are_no_backward_of_their_own() -> None:
    """Activation checkpointing calls backward inside backward: one pass, one loss."""
    losses, clock = Losses(), Clock()
    replace(torch.autograd, "backward", lambda _: _listen(losses, clock))
    try:
        layer, batch = nn.Linear(2, 2), torch.ones(1, 2, requires_grad=True)
        torch.utils.checkpoint.checkpoint(layer, batch, use_reentrant=True).sum().backward()
    finally:
        restore(torch.autograd, "backward")
    assert losses.backwards == 1


def test_busy_is_what_no_other_rank_can_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside backward, outside waits and outside evaluation; alone, a process is always busy."""
    now = [100.0]
    monkeypatch.setattr("rankzero_pytorch.zero_change.clock.perf_counter", lambda: now[0])
    clock = Clock()
    assert clock.take(alone=False) is None
    now[0] += 10.0
    clock.backward, clock.waited, clock.input = 3.0, 2.0, 1.0
    assert clock.take(alone=False) == (10.0, 1.0, 5.0)
    clock.leave("evaluation")
    now[0] += 4.0
    clock.come_back()
    now[0] += 1.0
    assert clock.take(alone=True) == (1.0, 0.0, 1.0)


def test_the_model_is_found_without_help() -> None:
    """The outermost module with the optimizer's parameters, of several alike; a stranger with the same class is not taken."""
    stranger = nn.Sequential(nn.Linear(3, 3))
    inner = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    model = nn.Module()
    model.backbone = inner
    model.head = nn.Linear(1, 1)
    living = Living()
    assert find_model(torch.optim.SGD(inner.parameters()), living) is model
    assert find_model(torch.optim.SGD(stranger.parameters()), living) is stranger
    assert find_model(torch.optim.SGD([torch.ones(1, requires_grad=True)]), living) is None
    assert trunk(model) == {id(model), id(inner), id(inner[0])}


def test_a_model_is_described() -> None:
    """Class, size, what is trained, and a table of its layers that ends somewhere."""
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(250)])
    model[0].requires_grad_(requires_grad=False)
    found = describe(nn.DataParallel(model))
    assert (found["class"], found["parameters"], found["trainable"]) == ("Sequential", 1500, 1494)
    assert (len(found["layers"]), found["layers"][0], found["more_layers"]) == (200, ["0", "Linear", 6], 50)


def test_rates_and_hyperparameters() -> None:
    """Groups by name or number; what they share once; a rate that is a tensor is a number; without a rate there is none."""
    first, second = torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)
    groups: list[dict[str, Any]] = [{"params": [first], "lr": torch.tensor(0.5), "name": "body"}, {"params": [second]}]
    optimizer = torch.optim.AdamW(groups, lr=0.25, foreach=False)
    row: dict[str, Any] = {}
    Tracked(2).put_rates(row, optimizer)
    assert row == {"optim/lr@2": 0.5, "optim/lr/body@2": 0.5, "optim/lr/1@2": 0.25}
    found = hyperparameters(optimizer)
    assert (found["class"], found["betas"]) == ("AdamW", (0.9, 0.999))
    assert found["groups"] == [{"lr": 0.5, "name": "body", "parameters": 3}, {"lr": 0.25, "parameters": 2}]
    row = {}
    Tracked(1).put_rates(row, SimpleNamespace(param_groups=[{"params": []}]))  # type: ignore[arg-type]
    assert row == {}


def test_something_after_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook is called once, after the module is there; looking for the module does not use it up; later it is called at once."""
    (tmp_path / "comes_later.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    heard: list[int] = []
    after_import("comes_later", lambda module: heard.append(module.value))
    importlib.util.find_spec("comes_later")
    assert heard == []
    importlib.import_module("comes_later")
    assert heard == [1]
    after_import("comes_later", lambda module: heard.append(module.value + 1))
    assert heard == [1, 2]
    del sys.modules["comes_later"]


def test_garbage_with_properties_does_no_harm() -> None:
    """Looking for modules touches no object's attributes: proxies that load or raise are left alone."""

    class Trap:
        @property
        def __class__(self) -> Any:
            raise RuntimeError("touched")

        @__class__.setter
        def __class__(self, value: Any) -> None: ...

    trap = [Trap()]
    gc.collect()
    assert Living().modules is not None
    assert trap
