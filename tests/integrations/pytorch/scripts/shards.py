"""A model whose parameters lie in parts on two ranks, trained by a plain loop."""

import copy
import json
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

dist.init_process_group("gloo")
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1))
whole = copy.deepcopy(model)
fully_shard(model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
expected = []
for step in range(2):
    data = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(step))
    model(data[dist.get_rank()]).square().mean().backward()
    if step == 0:
        grads = torch.autograd.grad(whole(data.flatten(0, 1)).square().mean(), list(whole.parameters()))
        expected.append(sum(g.norm().item() ** 2 for g in grads) ** 0.5)
    optimizer.step()
    optimizer.zero_grad()
if dist.get_rank() == 0:
    print(json.dumps({"first": expected[0]}))
time.sleep(0.2)  # torch aborts, recorded or not, if Python ends while gloo's threads want its lock
dist.destroy_process_group()
