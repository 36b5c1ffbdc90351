"""Ranks train together, and one of them sleeps in its loop.

slow_rank.py ddp|fsdp before|after RANK
"""

import sys
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

HOW, WHEN, WHO = sys.argv[1], sys.argv[2], int(sys.argv[3])

dist.init_process_group("gloo")
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 1))
if HOW == "ddp":
    model = nn.parallel.DistributedDataParallel(model)
else:
    model[1] = nn.Identity()
    fully_shard(model[0], mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
    fully_shard(model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(20):
    if WHEN == "before" and dist.get_rank() == WHO:
        time.sleep(0.2)
    loss = model(torch.randn(16, 64)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if WHEN == "after" and dist.get_rank() == WHO:
        time.sleep(0.2)
time.sleep(0.2)  # torch aborts, recorded or not, if Python ends while gloo's threads want its lock
dist.destroy_process_group()
