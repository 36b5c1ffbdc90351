"""rankzero for Hugging Face: `report_to="rankzero"` for the Trainer, `log_with="rankzero"` for accelerate.

Importing this package makes both names known to whichever of transformers and accelerate is imported, before or after; it loads
neither by itself. Below `rankzero run` no import is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rankzero_hf.integration import accelerate, transformers
from rankzero_hf.registration import register

if TYPE_CHECKING:
    from rankzero_hf.callback import RankZeroCallback
    from rankzero_hf.tracker import RankZeroTracker

__all__ = ["RankZeroCallback", "RankZeroTracker", "accelerate", "transformers"]

register()


def __getattr__(name: str) -> Any:
    from rankzero.plugin import require

    if name == "RankZeroCallback":
        require("transformers", "torch")
        from rankzero_hf.callback import RankZeroCallback

        return RankZeroCallback
    if name == "RankZeroTracker":
        require("accelerate", "torch")
        from rankzero_hf.tracker import RankZeroTracker

        return RankZeroTracker
    raise AttributeError(f"module 'rankzero_hf' has no attribute {name!r}")
