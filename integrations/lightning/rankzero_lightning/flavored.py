"""`RankZeroLogger` and `RankZeroCallback`, but for their base classes: what is the same for both flavors."""

from __future__ import annotations

from typing import Any

from rankzero_lightning.flavors import Flavor
from rankzero_lightning.listening import install
from rankzero_lightning.logger import LoggerCore
from rankzero_lightning.options import Options


class FlavoredLogger(LoggerCore):
    """Has the Trainers of its flavor tell what they do."""

    _flavor: Flavor
    _rank_zero_only: Any

    def _listen(self) -> None:
        install(self._flavor)

    def _is_other_rank(self) -> bool:
        return bool(getattr(self._rank_zero_only, "rank", 0))


class FlavoredCallback(Options):
    """The same for the callback."""

    _flavor: Flavor

    def __init__(
        self, log: str | None = "gradients", log_freq: int | None = None, histograms: bool | str = False
    ) -> None:
        super().__init__(log, log_freq, histograms)
        install(self._flavor)

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        install(self._flavor)
