"""Sharpness-aware steps, then steps on perturbed inputs: the gradients of a first pass are used and then set to zero.

At last an optimizer that sets them to zero when it has stepped.
"""

import json

import torch
from torch import nn


class Sharpness(torch.optim.Optimizer):
    """Sets gradients to zero itself and has another optimizer step."""

    def __init__(self, parameters, **given):
        super().__init__(parameters, given)
        self.base = torch.optim.SGD(self.param_groups, **given)
        self.offsets = []

    @torch.no_grad()
    def climb(self):
        parameters = self.param_groups[0]["params"]
        self.offsets = [0.1 * parameter.grad for parameter in parameters]
        torch._foreach_add_(parameters, self.offsets)
        self.zero_grad()

    @torch.no_grad()
    def descend(self):
        torch._foreach_sub_(self.param_groups[0]["params"], self.offsets)
        self.base.step()
        self.zero_grad()


class Tidy(torch.optim.SGD):
    """Leaves no gradients behind."""

    def step(self, closure=None):
        result = super().step(closure)
        self.zero_grad()
        return result


torch.manual_seed(0)
model = nn.Linear(4, 1)
data = torch.randn(16, 4)
losses = []
optimizer = Sharpness(model.parameters(), lr=0.1)
for _ in range(3):
    model(data).square().mean().backward()
    optimizer.climb()
    loss = model(data).square().mean()
    loss.backward()
    optimizer.descend()
    losses.append(loss.item())
for _ in range(3):
    moved = data.clone().requires_grad_()
    model(moved).square().mean().backward()
    model.zero_grad()
    loss = model(data + 0.1 * moved.grad.sign()).square().mean()
    loss.backward()
    optimizer.base.step()
    model.zero_grad()
    losses.append(loss.item())
optimizer = Tidy(model.parameters(), lr=0.1)
tidied = []
for _ in range(3):
    for half in data.chunk(2):
        loss = model(half).square().mean() / 2
        loss.backward()
        tidied.append(loss.item())
    optimizer.step()
sums = [first + second for first, second in zip(tidied[::2], tidied[1::2], strict=True)]
print(json.dumps({"losses": losses, "tidied": sums}))
