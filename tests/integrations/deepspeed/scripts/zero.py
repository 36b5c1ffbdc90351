"""DeepSpeed's ZeRO on CPU, two micro-batches a step, beside a whole copy of the model.

zero.py STAGE [watch]
"""

import copy
import json
import sys
import time

import deepspeed
import torch
import torch.distributed as dist
from torch import nn

deepspeed.init_distributed("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 4))
whole = copy.deepcopy(model)
engine, _, _, _ = deepspeed.initialize(
    model=model,
    optimizer=torch.optim.Adam(model.parameters(), lr=1e-2),
    config={
        "train_micro_batch_size_per_gpu": 4,
        "gradient_accumulation_steps": 2,
        "zero_optimization": {"stage": int(sys.argv[1])},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    },
)
if "watch" in sys.argv:
    import rankzero

    rankzero.init().watch(engine, log_freq=1)
data = torch.randn(2, world, 4, 16, generator=torch.Generator().manual_seed(0))
grads = torch.autograd.grad(whole(data.flatten(0, 2)).square().mean(), list(whole.parameters()))
for micro in range(2):
    engine.backward(engine(data[micro, rank]).square().mean())
    engine.step()
if rank == 0:
    print(json.dumps({"norm": sum(g.norm().item() ** 2 for g in grads) ** 0.5}))
time.sleep(0.2)  # torch aborts, recorded or not, if Python ends while gloo's threads want its lock
