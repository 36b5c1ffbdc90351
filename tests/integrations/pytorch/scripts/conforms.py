"""A plain loop, alone or with DistributedDataParallel, that does what a plan says."""

import os
import time
from pathlib import Path

import torch
from torch import distributed, nn


def train(plan):
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks > 1:
        distributed.init_process_group("gloo")
    losses = [fit(plan, number) for number in range(plan.fits)]
    if ranks > 1:
        time.sleep(0.2)  # torch aborts, recorded or not, if Python ends while gloo's threads want its lock
        distributed.destroy_process_group()
    return {"loss": losses[0], "others": losses[1:]}


def fit(plan, number):
    torch.manual_seed(number)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses, checkpoint = [], Path("checkpoint.pt")
    if resumes := checkpoint.exists():
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        losses = saved["losses"]
    trained = nn.parallel.DistributedDataParallel(model) if distributed.is_initialized() else model
    run = record(model, plan, number) if plan.by_hand else None
    for step in range(len(losses) + 1, plan.steps + 1):
        inputs = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        loss = (trained(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        if step == plan.fail_at and not resumes and int(os.environ.get("RANK", "0")) == plan.fail_rank:
            raise ValueError("failed on purpose")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if run:
            run.log({"loss": loss} if number == 0 else {f"loss@{number + 1}": loss}, step=step)
        if plan.save_at and step % plan.save_at == 0:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "losses": losses}
            torch.save(state, checkpoint)
    if run and number == plan.fits - 1:
        run.finish()
    return losses


def record(model, plan, number):
    import rankzero

    run = rankzero.init(project="conformance", config={"lr": 0.01}, reinit="return_previous")
    run.watch(model, log="all", log_freq=2, name="" if number == 0 else str(number + 1))
    return run
