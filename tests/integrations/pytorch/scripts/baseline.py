"""Evaluates once before it trains, looks at one batch, and trains on two loaders at a time."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
data = TensorDataset(torch.randn(16, 8))
loaders = DataLoader(data, batch_size=4), DataLoader(data, batch_size=2)


def evaluate() -> None:
    model.eval()
    with torch.no_grad():
        for (batch,) in DataLoader(data, batch_size=8):
            model(batch)
    model.train()


evaluate()
assert len(next(iter(loaders[0]))[0]) == 4
for _ in range(2):
    for (one,), (other,) in zip(*loaders, strict=False):
        (model(one).square().mean() + model(other).square().mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
    evaluate()
