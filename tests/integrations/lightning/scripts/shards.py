"""Trains a model whose parameters are spread over two processes (FSDP2), and prints the norms of its whole gradients."""

import json
import warnings

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.fsdp import fully_shard

warnings.filterwarnings("ignore")


class Model(BoringModel):
    def __init__(self):
        super().__init__()
        self.norms = []

    def configure_model(self):
        fully_shard(self.layer, mesh=self.device_mesh["data_parallel"])

    def on_before_optimizer_step(self, optimizer):
        whole = [parameter.grad.full_tensor().flatten() for parameter in self.parameters()]
        self.norms.append(torch.cat(whole).norm().item())


if __name__ == "__main__":
    trainer = Trainer(
        accelerator="cpu", devices=2, max_steps=3, logger=False, limit_val_batches=0,
        strategy=ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1, process_group_backend="gloo"),
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    model = Model()
    trainer.fit(model)
    if trainer.is_global_zero:
        print(json.dumps(model.norms))
