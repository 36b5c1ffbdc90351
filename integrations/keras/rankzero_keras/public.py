"""What the package offers, once Keras is imported."""

from __future__ import annotations

from rankzero_keras.callback import RankZeroCallback
from rankzero_keras.checkpoints import RankZeroModelCheckpoint
from rankzero_keras.evaluation import RankZeroEvalCallback

__all__ = ["RankZeroCallback", "RankZeroEvalCallback", "RankZeroModelCheckpoint"]
