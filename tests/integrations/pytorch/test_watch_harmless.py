"""What watching a model must not change."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter
from torch._dynamo.utils import counters
from torch.utils._python_dispatch import TorchDispatchMode

import rankzero
from rankzero_pytorch import integration

if TYPE_CHECKING:
    from tests.integrations.pytorch.conftest import Recorded

EVERYTHING: dict[str, Any] = {"log": "all", "log_freq": 1, "histograms": True}


def _train(steps: int, watch: Callable[[nn.Module], None], **adam: Any) -> dict[str, Tensor]:
    """Train a small model with dropout; its parameters, the optimizer's state and the next random numbers."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(70, 90), nn.Dropout(0.3), nn.Linear(90, 5))
    watch(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, **adam)
    for _ in range(steps):
        model(torch.randn(8, 70)).square().mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()
    state = {f"{i} {key}": value for i, s in enumerate(optimizer.state.values()) for key, value in s.items()}
    return {**dict(model.named_parameters()), **state, "random": torch.rand(4)}


@pytest.mark.parametrize("adam", [{}, {"fused": True}, {"foreach": True}], ids=["plain", "fused", "foreach"])
@pytest.mark.parametrize("kind", [True, "exact"])
def test_training_is_bit_identical(run: rankzero.Run, kind: Any, adam: dict[str, Any]) -> None:
    """Parameters, optimizer state and the random numbers drawn are the same bits with and without watching."""
    plain = _train(5, lambda _: None, **adam)
    watched = _train(5, lambda model: run.watch(model, **{**EVERYTHING, "histograms": kind}), **adam)
    assert plain.keys() == watched.keys()
    assert [key for key in plain if not torch.equal(plain[key], watched[key])] == []


def test_a_watched_model_copies_and_pickles(run: rankzero.Run) -> None:
    """Nothing is attached to it: attributes, hooks and state are what they were."""
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    before = [(set(vars(m)), [len(v) for k, v in vars(m).items() if k.endswith("_hooks")]) for m in model.modules()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run.watch(model, **EVERYTHING)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    after = [(set(vars(m)), [len(v) for k, v in vars(m).items() if k.endswith("_hooks")]) for m in model.modules()]
    assert before == after
    assert not any(p._backward_hooks or p._post_accumulate_grad_hooks for p in model.parameters())
    copies: list[nn.Module] = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for copied in copies:
        assert [torch.equal(*pair) for pair in zip(copied.parameters(), model.parameters(), strict=True)] == [
            True,
            True,
        ]
    buffer = io.BytesIO()
    torch.save({"model": model, "optimizer": optimizer}, buffer)
    copy.deepcopy(optimizer)


def test_models_and_gradients_are_freed(run: rankzero.Run) -> None:
    """Watching keeps neither a model alive nor, past its step, a gradient."""
    model = nn.Linear(50, 50)
    run.watch(model, **EVERYTHING)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(1, 50)).sum().backward()
    gradient = model.weight.grad
    assert gradient is not None
    seen = weakref.ref(gradient)
    optimizer.step()
    del gradient
    optimizer.zero_grad(set_to_none=True)
    assert seen() is None
    gone = weakref.ref(model)
    del model, optimizer
    gc.collect()
    assert gone() is None
    other = nn.Linear(2, 2)
    other(torch.ones(1, 2)).sum().backward()
    torch.optim.SGD(other.parameters(), lr=0.1).step()


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    """The compiler knows nothing before and after."""
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def _compiled_training(run: rankzero.Run | None, *, mode: str) -> tuple[int, int, int]:
    """Train a compiled model; how many frames and graphs were compiled, and how many breaks there were."""
    torch._dynamo.reset()
    counters.clear()
    torch.manual_seed(0)
    backend = CompileCounter()
    model = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=torch.tensor(0.01))
    if run is not None:
        run.watch(model, **EVERYTHING)

    def train(batch: Tensor) -> None:
        model(batch).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    compiled: Any = torch.compile(model, backend=backend, fullgraph=True)
    step: Any = torch.compile(optimizer.step, backend=backend)
    whole: Any = torch.compile(train, backend=backend)
    for _ in range(6):
        if mode == "everything":
            whole(torch.randn(4, 8))
            continue
        compiled(torch.randn(4, 8)).square().mean().backward()
        (step if mode == "optimizer" else optimizer.step)()
        optimizer.zero_grad()
    return backend.frame_count, counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())


@pytest.mark.usefixtures("fresh_compiler")
def test_a_compiled_model_has_no_new_break(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """One graph, compiled once, no break: what it is without watching. And every step is recorded."""
    plain, watched = (_compiled_training(r, mode="model") for r in (None, run))
    assert plain == watched == (1, 1, 0)
    assert len(recorded().values("grad/norm")) == 6


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("mode", ["optimizer", "everything"])
def test_a_compiled_step_is_not_compiled_again(run: rankzero.Run, recorded: Callable[[], Recorded], mode: str) -> None:
    """Also where the optimizer's step is compiled, the graphs are the same ones, compiled as often, and every step is recorded."""
    plain, watched = (_compiled_training(r, mode=mode) for r in (None, run))
    assert plain[:2] == watched[:2]
    assert len(recorded().values("grad/norm")) == 6


class Ledger(TorchDispatchMode):
    """Writes down every operation that reads a tensor's numbers on the host."""

    reads: list[str]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See torch."""
        name = str(func)
        if "_local_scalar_dense" in name or name.startswith(
            ("aten.nonzero", "aten.unique", "aten._to_copy.default.cpu")
        ):
            self.reads.append(name)
        return func(*args, **(kwargs or {}))


def test_nothing_is_read_in_the_training_thread(
    run: rankzero.Run, recorded: Callable[[], Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken for an accelerator's, tensors are measured without an operation that would make the host wait for their numbers.

    There is no accelerator here: the places that ask whether a tensor lies on the CPU are told that it does not.
    """
    from rankzero_pytorch import histograms, norms

    monkeypatch.setattr(norms, "finite", lambda _: None)
    monkeypatch.setattr(histograms, "_on_host", lambda _: False)
    for kind in (True, "exact"):
        model = nn.Linear(100, 100)
        run.watch(model, **{**EVERYTHING, "histograms": kind})
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.ones(1, 100)).sum().backward()
        ledger = Ledger()  # type: ignore[no-untyped-call]
        ledger.reads = []
        with ledger:
            optimizer.step()
        assert ledger.reads == []
    assert recorded().values("grad/norm")


def test_the_integration_is_found_by_its_entry_point() -> None:
    """`run.watch` finds it under the framework's import name."""
    from importlib.metadata import entry_points

    (point,) = entry_points(group="rankzero.integrations", name="torch")
    assert point.load() is integration
