"""What watching a model of 124 million parameters costs: CPU of one sampled step, one thread, beside wandb's watch.

python -m benchmarks.bench_watch
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from benchmarks import harness
from benchmarks.loggers import stay_local

STEPS = 66
KINDS = ["AdamW step", "norms", "norms, sampled histograms", "norms, exact histograms", "wandb watch"]
OPTIONS: dict[str, dict[str, Any]] = {
    "norms": {},
    "norms, sampled histograms": {"histograms": True},
    "norms, exact histograms": {"histograms": "exact"},
}


def main() -> None:
    harness.heading("watch() of gradients, 148 tensors, 124 million parameters: CPU milliseconds of one sampled step")
    found = harness.interleaved(2, KINDS, lambda kind: harness.fresh("bench_watch", kind))
    harness.table(["", "CPU"], [[kind, figures["cpu"]] for kind, figures in found.items()])
    theirs = found["wandb watch"]["cpu"]
    for kind, share in zip(KINDS[1:4], (1 / 40, 1 / 30, 1 / 2.5), strict=True):
        harness.promise_ratio(f"{kind}, against wandb", found[kind]["cpu"], theirs, share)
    share = harness.fresh("bench_watch", "default")["share"]
    added = share * found["norms"]["cpu"] / found["AdamW step"]["cpu"] * 100
    harness.promise(
        f"added to AdamW's step alone at the default frequency, every {1 / share:.0f} steps", added, 0.5, " %"
    )


class Still(torch.optim.Optimizer):
    """An optimizer that does nothing, so that what is measured is what hangs on its step."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": 0.0})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Leave everything as it is."""


def gpt2_shapes() -> list[tuple[int, ...]]:
    """The parameters of a 124-million-parameter GPT-2."""
    width = 768
    block: list[tuple[int, ...]] = [(width,), (width,), (3 * width, width), (3 * width,), (width, width), (width,)]
    block += [(width,), (width,), (4 * width, width), (4 * width,), (width, 4 * width), (width,)]
    return [(50257, width), (1024, width), *(block * 12), (width,), (width,)]


class Model(torch.nn.Module):
    """Parameters with gradients, and no forward."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = torch.nn.ParameterList(torch.randn(shape) * 0.02 for shape in gpt2_shapes())
        for parameter in self.parts:
            parameter.grad = torch.randn_like(parameter) * 1e-3


def cpu_of(step: Callable[[], Any], times: int = 5) -> float:
    """Median CPU milliseconds of a step, background threads included, after one that warms up."""
    found = []
    for _ in range(times + 1):
        start = time.process_time()
        step()
        time.sleep(0.4)
        found.append((time.process_time() - start) * 1e3)
    return statistics.median(found[1:])


def watched(kind: str, model: Model, folder: Path) -> float:
    """CPU of a step that is sampled, less that of one that is not watched."""
    import rankzero

    run = rankzero.init(project="bench", dir=folder)
    optimizer = Still(model.parameters())
    plain = cpu_of(optimizer.step)
    run.watch(model, log="gradients", log_freq=1, **OPTIONS[kind])
    cost = cpu_of(optimizer.step)
    run.finish()
    return cost - plain


def wandb_watched(model: Model, folder: Path) -> float:
    """CPU of a backward pass that wandb watches and of its log call, less those of one that it does not."""
    import wandb

    run = wandb.init(project="bench", dir=folder)
    gradients = [parameter.grad for parameter in model.parts]

    def step() -> None:
        torch.autograd.backward(list(model.parts), gradients)
        run.log({})

    plain = cpu_of(step)
    run.watch(model, log="gradients", log_freq=1)
    cost = cpu_of(step)
    run.finish()
    return cost - plain


def sampled_share(model: Model, folder: Path) -> float:
    """The share of AdamW's steps that are sampled with nothing set, without the first two, which always are."""
    import rankzero

    run = rankzero.init(project="bench", dir=folder)
    optimizer = torch.optim.AdamW(model.parameters(), foreach=True)
    run.watch(model)
    for _ in range(STEPS):
        optimizer.step()
    run.finish()
    command = [str(Path(sys.executable).with_name("rankzero")), "history", "latest", "grad/norm", "--json"]
    command += ["--dir", str(folder)]
    points = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return (len(points["grad/norm"]["step"]) - 2) / (STEPS - 2)


def measure(kind: str) -> None:
    """Measure one kind in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Model()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.redirect_stdout(io.StringIO()):
        stay_local(Path(folder))
        if kind == "default":
            harness.answer(share=sampled_share(model, Path(folder)))
        elif kind == "AdamW step":
            harness.answer(cpu=cpu_of(torch.optim.AdamW(model.parameters(), foreach=True).step))
        elif kind == "wandb watch":
            harness.answer(cpu=wandb_watched(model, Path(folder)))
        else:
            harness.answer(cpu=watched(kind, model, Path(folder)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1])
    else:
        main()
