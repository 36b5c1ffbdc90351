"""What `Model.fit` was called with, for those who hear of it from inside."""

from __future__ import annotations

import math
import sys
from typing import Any

ARGUMENTS = (
    "batch_size", "epochs", "initial_epoch", "steps_per_epoch", "shuffle", "class_weight", "validation_split",
    "validation_steps", "validation_batch_size", "validation_freq",
)  # fmt: skip


def fit_under_way(model: Any) -> dict[str, Any]:
    """The local variables of the `fit` of this model that this is called below; nothing in a loop of the program's own."""
    frame = sys._getframe(1)  # noqa: SLF001 - documented for this
    while frame is not None:
        if frame.f_code.co_name == "fit" and "epoch_iterator" in frame.f_locals and frame.f_locals.get("self") is model:
            return dict(frame.f_locals)
        frame = frame.f_back  # type: ignore[assignment]
    return {}


def arguments(found: dict[str, Any]) -> dict[str, Any]:
    """Those that say how it trains."""
    return {name: found[name] for name in ARGUMENTS if found.get(name) is not None}


def batches(found: dict[str, Any]) -> float:
    """Batches in an epoch; infinitely many where the data does not say, or the program does."""
    size = getattr(getattr(found.get("epoch_iterator"), "data_adapter", None), "num_batches", None)
    return math.inf if found.get("steps_per_epoch") or not isinstance(size, int) else size


def batch_size(found: dict[str, Any]) -> int:
    """Samples in a batch; 0 where the data does not say."""
    size = getattr(getattr(found.get("epoch_iterator"), "data_adapter", None), "batch_size", None) or found.get(
        "batch_size"
    )
    return int(size) if isinstance(size, int) else 0
