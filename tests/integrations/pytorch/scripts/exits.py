"""Trains, and then says with its exit code that it is not content."""

import sys

import torch

weight = torch.zeros(3, requires_grad=True)
optimizer = torch.optim.SGD([weight], lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    (weight - 1).square().sum().backward()
    optimizer.step()
sys.exit(3)
