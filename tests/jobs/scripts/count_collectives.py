"""Counts the collectives that this rank takes part in, by the process group's own sequence number."""

import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
torch.manual_seed(0)
model = DistributedDataParallel(torch.nn.Linear(8, 4))
optimizer = torch.optim.Adam(model.parameters())
for _ in range(25):
    optimizer.zero_grad()
    model(torch.randn(16, 8)).square().mean().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
group = dist.distributed_c10d._get_default_group()
print(f"collectives {dist.get_rank()} {group._get_sequence_number_for_group()}\n", end="", flush=True)
print(f"weights {dist.get_rank()} {[p.double().sum().item() for p in model.parameters()]}\n", end="", flush=True)
time.sleep(0.2)  # torch aborts, recorded or not, if Python ends while gloo's threads want its lock
dist.destroy_process_group()
