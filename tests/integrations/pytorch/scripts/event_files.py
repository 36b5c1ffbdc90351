"""Writes event files with a SummaryWriter, as many scripts do.

event_files.py torch|tensorboardX
"""

import sys

import torch

if sys.argv[1] == "torch":
    from torch.utils.tensorboard import SummaryWriter
else:
    from tensorboardX import SummaryWriter

writer = SummaryWriter("events")
writer.add_text("about", "before there is a run")
weight = torch.zeros(3, requires_grad=True)
optimizer = torch.optim.SGD([weight], lr=0.1)
for epoch in range(3):
    loss = (weight - 1).square().sum()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    writer.add_scalar("Loss/train", loss, epoch)
    writer.add_scalar("Accuracy", 0.5 + epoch / 10, global_step=epoch)
    writer.add_scalars("both", {"a": epoch, "b": 2 * epoch}, epoch)
writer.add_histogram("weights", weight.detach(), 2)
writer.add_image("picture", torch.zeros(3, 4, 5), 2)
writer.close()
