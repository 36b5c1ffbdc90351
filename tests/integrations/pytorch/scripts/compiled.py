"""A compiled model with activation checkpointing inside; says how often the compiler was at work."""

import json

import torch
from torch import nn
from torch._dynamo.utils import counters
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 1)

    def forward(self, x):
        return self.second(checkpoint(lambda y: torch.relu(self.first(y)), x, use_reentrant=False))


model = Model()
compiled = torch.compile(model, backend="eager", fullgraph=True)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
losses = []
for _ in range(5):
    loss = compiled(torch.randn(6, 4)).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
    compiled.train()
stats = {"graphs": counters["stats"]["unique_graphs"], "breaks": sum(counters["graph_break"].values())}
print(json.dumps({"losses": losses, **stats, "frames": counters["frames"]["total"]}))
