"""rankzero for PyTorch Lightning: a logger and a callback, and Trainers recorded with no change.

    from lightning import Trainer
    from rankzero_lightning import RankZeroLogger

    trainer = Trainer(logger=RankZeroLogger(project="digits"))

Lightning is installed under two names that share no class. The names here are for the one that this process has imported,
`lightning` if it has imported both or none; `rankzero_lightning.of_lightning` and `.of_pytorch_lightning` are for those who
use both.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankzero_lightning.of_lightning import RankZeroCallback, RankZeroLogger

__all__ = ["RankZeroCallback", "RankZeroLogger"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'rankzero_lightning' has no attribute {name!r}")
    from rankzero_lightning.flavors import in_use

    return getattr(importlib.import_module(f"rankzero_lightning.of_{in_use().name}"), name)
