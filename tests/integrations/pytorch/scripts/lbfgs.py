"""An optimizer that calls a closure several times a step."""

import json

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(5, 1)
inputs, targets = torch.randn(30, 5), torch.randn(30, 1)
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)
losses = []
for _ in range(3):

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        return loss

    losses.append(optimizer.step(closure).item())
print(json.dumps({"losses": losses}))
