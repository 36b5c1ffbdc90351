"""Train a small network on scikit-learn's handwritten digits and record it by hand.

python examples/digits.py
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

import rankzero

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--lr", type=float, default=3e-3)
parser.add_argument("--width", type=int, default=64)
asked = parser.parse_args()

digits = load_digits()
images, labels = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
model = nn.Sequential(nn.Linear(64, asked.width), nn.ReLU(), nn.Linear(asked.width, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=asked.lr)

run = rankzero.init(project="digits", config=asked)
run.define_metric("accuracy", summary="best", goal="maximize")
run.watch(model, histograms=True)
for epoch in range(asked.epochs):
    for chosen in torch.randperm(1400).split(50):
        loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log({"loss": loss, "epoch": epoch})
    with torch.no_grad():
        accuracy = (model(images[1400:]).argmax(1) == labels[1400:]).float().mean()
    run.log({"accuracy": accuracy}, commit=False)
    print(f"epoch {epoch + 1}: loss {loss.item():.3f}, accuracy {accuracy.item():.3f}")
run.finish()
