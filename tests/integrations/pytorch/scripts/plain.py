"""A plain training loop with a loader, a schedule, clipping, evaluation and checkpoints."""

import argparse
import json

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--lr", type=float, default=0.1)
asked = parser.parse_args()

torch.manual_seed(0)
data = TensorDataset(torch.randn(80, 8), torch.randint(0, 3, (80,)))
train, test = DataLoader(data, batch_size=16), DataLoader(data, batch_size=40)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(
    [{"params": model[0].parameters(), "lr": asked.lr / 10, "name": "body"}, {"params": model[2].parameters()}],
    lr=asked.lr,
    momentum=0.9,
)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
losses, norms = [], []
for _ in range(asked.epochs):
    model.train()
    for inputs, labels in train:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 0.5).item())
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
    model.eval()
    with torch.no_grad():
        right = sum((model(inputs).argmax(1) == labels).sum().item() for inputs, labels in test)
    torch.save(model.state_dict(), "model.pt")
print(json.dumps({"losses": losses, "norms": norms, "right": right}))
