"""Plain DDP on random numbers. It has never heard of any tracker."""

import argparse
import os
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=30)
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--slow-rank", type=int, default=-1)
parser.add_argument("--slow-where", choices=["before", "after"], default="before")
parser.add_argument("--spawn", type=int, default=0, help="start so many ranks by torch.multiprocessing")
parser.add_argument("--port", default="29511")
asked = parser.parse_args()


def train(rank: int, world: int) -> None:
    if asked.spawn:
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{asked.port}", rank=rank, world_size=world)
    else:
        dist.init_process_group("gloo")
        rank = dist.get_rank()
    torch.manual_seed(0)
    model = DistributedDataParallel(
        torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=asked.lr)
    data = torch.utils.data.TensorDataset(torch.randn(asked.steps * 8, 16), torch.randint(0, 4, (asked.steps * 8,)))
    for features, labels in torch.utils.data.DataLoader(data, batch_size=8):
        if rank == asked.slow_rank and asked.slow_where == "before":
            time.sleep(0.2)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(features), labels)
        loss.backward()
        optimizer.step()
        if rank == asked.slow_rank and asked.slow_where == "after":
            time.sleep(0.2)
    if rank == 0 and os.environ.get("PRINT_WEIGHTS"):
        print("weights", sum(parameter.double().sum().item() for parameter in model.parameters()))
    time.sleep(0.2)  # torch aborts, recorded or not, if Python ends while gloo's threads want its lock
    dist.destroy_process_group()


if __name__ == "__main__":
    if asked.spawn:
        torch.multiprocessing.spawn(train, args=(asked.spawn,), nprocs=asked.spawn)
    else:
        train(0, 1)
