"""On a real accelerator: nothing of ours makes the host wait for it. Skipped elsewhere."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import rankzero

if TYPE_CHECKING:
    from tests.integrations.pytorch.conftest import Job, Recorded

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Any operation that makes the host wait for the device raises in this thread."""
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def _train(model: nn.Module, optimizer: torch.optim.Optimizer, batch: torch.Tensor) -> torch.Tensor:
    loss: torch.Tensor = model(batch).square().mean()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss


@pytest.mark.parametrize("histograms", [True, "exact"])
@pytest.mark.parametrize("adam", [{}, {"fused": True}, {"capturable": True}], ids=["plain", "fused", "capturable"])
def test_watching_does_not_synchronise(
    run: rankzero.Run, recorded: Callable[[], Recorded], no_waiting: None, histograms: Any, adam: dict[str, Any]
) -> None:
    """Every measurement of every step, and the loss logged as a device tensor, without one synchronisation."""
    torch.cuda.set_sync_debug_mode("default")
    model = nn.Sequential(nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 5)).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), **adam)
    batch = torch.randn(16, 300, device="cuda")
    _train(model, optimizer, batch)
    run.watch(model, log="all", log_freq=1, histograms=histograms)
    torch.cuda.set_sync_debug_mode("error")
    for _ in range(5):
        run.log({"loss": _train(model, optimizer, batch)})
    torch.cuda.set_sync_debug_mode("default")
    found = recorded()
    assert len(found.values("grad/norm")) == len(found.values("loss")) == 5
    assert found.values("grad/norm_unclipped")[0] > 0


def test_device_memory_is_freed(run: rankzero.Run) -> None:
    """Nothing measured is kept on the device longer than it takes to arrive."""
    model = nn.Linear(1000, 1000).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = torch.randn(4, 1000, device="cuda")
    run.watch(model, log_freq=1)
    for _ in range(20):
        _train(model, optimizer, batch)
    run.flush()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for _ in range(300):
        _train(model, optimizer, batch)
    torch.cuda.synchronize()
    run.flush()
    gc.collect()
    assert torch.cuda.memory_allocated() - before < 1_000_000
    gone = weakref.ref(model)
    del model, optimizer
    gc.collect()
    assert gone() is None


def test_zero_change_does_not_synchronise(job: Job, root: Path, read: Any) -> None:
    """A script that forbids synchronisation in its steps runs unchanged below `rankzero run`, and is recorded."""
    job(str(SCRIPTS / "no_waiting.py"), below=True)
    found = read(root)
    assert len(found.values("loss")) == 30
    assert len(found.values("time/step")) == 29
    assert found.values("optim/scale")
