"""Two or four ranks train a model that is watched by hand, beside a whole copy of it trained on all ranks' data.

ranks_by_hand.py ddp|fsdp|fsdp1|hsdp|tp [only-rank-zero-watches]
Rank zero prints what the whole copy's norms are at each step, and the collectives of a step before and after, as JSON.
"""

import copy
import json
import sys
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.debug import CommDebugMode

import rankzero

HOW, *WATCHING = sys.argv[1:]
WARM_UP = 3  # DDP builds its buckets anew in its second step
STEPS = 3


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        inner = 6 if HOW == "tp" else 5  # five rows: uneven over two ranks, and one rank of four has none
        self.first = nn.Linear(6, inner)
        self.second = nn.Linear(inner, 7)
        self.scale = nn.Parameter(torch.ones(1))
        self.tied = self.second

    def forward(self, x):
        return self.tied(torch.tanh(self.first(x))) * self.scale


def spread(model):
    world = dist.get_world_size()
    if HOW == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    if HOW == "tp":
        from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

        plan = {"first": ColwiseParallel(), "second": RowwiseParallel()}
        return parallelize_module(model, init_device_mesh("cpu", (world,)), plan)
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

    if HOW == "fsdp1":
        return FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))

    names = ("copies", "shards") if HOW == "hsdp" else ("shards",)
    mesh = init_device_mesh("cpu", (2, world // 2) if HOW == "hsdp" else (world,), mesh_dim_names=names)
    fully_shard(model.first, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def norm(tensors):
    return sum(t.detach().double().norm().item() ** 2 for t in tensors) ** 0.5


def main():
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(0)
    whole = Model()
    model = spread(copy.deepcopy(whole))
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (whole, model)]
    run = rankzero.init(project="test")
    expected, counts = {}, []
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP and (rank == 0 or not WATCHING):
            run.watch(model, log="all", log_freq=1, histograms=True)
        data = torch.randn(world, 4, 6, generator=torch.Generator().manual_seed(step))
        whole(data.flatten(0, 1)).square().mean().backward()
        with CommDebugMode() as collectives:
            model(data.flatten(0, 1) if HOW == "tp" else data[rank]).square().mean().backward()
            if HOW == "fsdp1":  # clips by a method of its own
                model.clip_grad_norm_(0.05)
                nn.utils.clip_grad_norm_(whole.parameters(), 0.05)
            elif HOW != "tp":  # plain and distributed tensors are not clipped together
                nn.utils.clip_grad_norm_(model.parameters(), 0.05)
                unclipped = nn.utils.clip_grad_norm_(whole.parameters(), 0.05)
                expected.setdefault("grad/norm_unclipped", []).append(unclipped.item())
            for name, parameter in whole.named_parameters():
                expected.setdefault(f"grad/norm/{name}", []).append(norm([parameter.grad]))
            expected.setdefault("grad/norm", []).append(norm(p.grad for p in whole.parameters()))
            before = {name: p.detach().clone() for name, p in whole.named_parameters()}
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        counts.append({str(name): count for name, count in collectives.get_comm_counts().items()})
        for name, parameter in whole.named_parameters():
            moved = norm([parameter.detach() - before[name]]) / norm([before[name]])
            expected.setdefault(f"update/ratio/{name}", []).append(moved)
            expected.setdefault(f"weight/norm/{name}", []).append(norm([parameter]))
    run.finish()
    if rank == 0:
        expected = {key: values[WARM_UP:] for key, values in expected.items()}
        print(json.dumps({"expected": expected, "collectives": [counts[WARM_UP - 1], counts[-1]]}))
    dist.barrier()
    time.sleep(0.2)  # torch aborts, recorded or not, if Python ends while gloo's threads want its lock
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
