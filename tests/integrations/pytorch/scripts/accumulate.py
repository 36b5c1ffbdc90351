"""Two micro-batches a step, in half precision with a gradient scaler whose first steps overflow; nothing loads data."""

import json
import sys

import torch
from torch import nn

FUSED = "fused" in sys.argv
torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=FUSED)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
losses, skipped = [], 0
for step in range(6):
    total = 0.0
    for _ in range(2):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(torch.randn(8, 4)).float().square().mean() / 2
        if step < 2:
            loss = loss * float("inf")
        total += loss.item()
        scaler.scale(loss).backward()
    before = scaler.get_scale()
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    if scaler.get_scale() < before:
        skipped += 1
    if FUSED or step >= 2:
        losses.append(total)
print(json.dumps({"losses": losses, "skipped": skipped, "scale": scaler.get_scale()}))
