import hydra
import torch
from hydra.core.config_store import ConfigStore

ConfigStore.instance().store("config", {"lr": 0.1})


@hydra.main(version_base=None, config_name="config")
def main(cfg):
    m = torch.nn.Linear(2, 1)
    o = torch.optim.SGD(m.parameters(), lr=cfg.lr)
    for _ in range(5):
        o.zero_grad()
        loss = m(torch.ones(3, 2)).square().mean()
        loss.backward()
        o.step()


main()
