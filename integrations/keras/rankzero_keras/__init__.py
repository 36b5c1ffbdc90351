"""rankzero for Keras 3, on TensorFlow, JAX or torch: callbacks, and scripts recorded with no change.

    model.fit(x, y, callbacks=[RankZeroCallback(project="digits")])

Importing this imports nothing; its names import Keras, and Keras the backend that the user chose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankzero_keras.callback import RankZeroCallback
    from rankzero_keras.checkpoints import RankZeroModelCheckpoint
    from rankzero_keras.evaluation import RankZeroEvalCallback

__all__ = ["RankZeroCallback", "RankZeroEvalCallback", "RankZeroModelCheckpoint"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'rankzero_keras' has no attribute {name!r}")
    from rankzero.plugin import require

    require("keras")
    from rankzero_keras import public

    return getattr(public, name)
