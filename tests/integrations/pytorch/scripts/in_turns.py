"""Two models, each with its optimizer, that train on the same batches at once: both accumulate two micro-batches, then step."""

import json

import torch
from torch import nn

torch.manual_seed(0)
first, second = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)), nn.Linear(4, 1)
optimizers = [torch.optim.SGD(first.parameters(), lr=0.1), torch.optim.Adam(second.parameters(), lr=0.01)]
losses: list[list[float]] = [[], []]
for step in range(12):
    batches = torch.randn(2, 8, 4)
    sums = [0.0, 0.0]
    for batch in batches:
        for number, model in enumerate((first, second)):
            loss = (model(batch) - 3 * number).pow(2).mean() / len(batches)
            loss.backward()
            sums[number] += loss.item()
    for number, optimizer in enumerate(optimizers):
        if number == 0 or step % 3 == 2:  # the second accumulates three times as long
            optimizer.step()
            optimizer.zero_grad()
    for number, value in enumerate(sums):
        losses[number].append(value)
seconds = [sum(losses[1][start : start + 3]) for start in range(0, 12, 3)]
print(json.dumps({"first": losses[0], "second": seconds}))
