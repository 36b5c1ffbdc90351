"""Trains on a CUDA device in half precision, and forbids any synchronisation after its first steps."""

import torch
from torch import nn

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)).cuda()
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
scaler = torch.amp.GradScaler("cuda")
batch = torch.randn(32, 64, device="cuda")
for step in range(30):
    if step == 5:
        torch.cuda.set_sync_debug_mode("error")
    with torch.autocast("cuda", dtype=torch.float16):
        loss = model(batch).float().square().mean()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
torch.cuda.set_sync_debug_mode("default")
