"""Two models and two optimizers that take turns, the critic twice for the generator's once."""

import json

import torch
from torch import nn

torch.manual_seed(0)
generator, critic = nn.Linear(2, 4), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
steps_critic = torch.optim.Adam(critic.parameters(), lr=1e-3)
steps_generator = torch.optim.RMSprop(generator.parameters(), lr=2e-3)
critic_losses, generator_losses = [], []
for _ in range(4):
    for _ in range(2):
        steps_critic.zero_grad()
        real, fake = critic(torch.randn(8, 4)), critic(generator(torch.randn(8, 2)).detach())
        real_loss, fake_loss = -real.mean(), fake.mean()
        real_loss.backward()
        fake_loss.backward()
        steps_critic.step()
        critic_losses.append((real_loss + fake_loss).item())
    steps_generator.zero_grad()
    loss = -critic(generator(torch.randn(8, 2))).mean()
    loss.backward()
    steps_generator.step()
    generator_losses.append(loss.item())
print(json.dumps({"critic": critic_losses, "generator": generator_losses}))
