"""Trains for some steps from where its checkpoint is, if there is one.

resume.py adam|sgd STEPS
"""

import pathlib
import sys

import torch
from torch import nn

HOW, STEPS = sys.argv[1], int(sys.argv[2])
torch.manual_seed(0)
model = nn.Linear(3, 1)
kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
optimizer = kinds[HOW](model.parameters(), lr=0.01, **({"momentum": 0.9} if HOW == "sgd" else {}))
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=100)
path = pathlib.Path("checkpoint.pt")
if path.exists():
    saved = torch.load(path)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    scheduler.load_state_dict(saved["scheduler"])
for step in range(STEPS):
    optimizer.zero_grad()
    model(torch.randn(4, 3)).square().mean().backward()
    optimizer.step()
    scheduler.step()
    if step == 3:
        parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
        torch.save({name: part.state_dict() for name, part in parts.items()}, path)
