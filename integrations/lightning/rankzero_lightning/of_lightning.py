"""The classes for those who import `lightning`."""

# pyright: reportMissingImports=false
from __future__ import annotations

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from rankzero.plugin import Run
from rankzero_lightning.flavors import LIGHTNING
from rankzero_lightning.listening import install
from rankzero_lightning.logger import LoggerCore
from rankzero_lightning.options import Options


class RankZeroLogger(LoggerCore, Logger):  # noqa: D101 - it is the base's
    __doc__ = LoggerCore.__doc__

    @property
    @rank_zero_experiment
    def experiment(self) -> Run:
        """The run on rank zero; elsewhere something that accepts every call and does nothing."""
        return self.live()

    def _listen(self) -> None:
        install(LIGHTNING)

    def _is_other_rank(self) -> bool:
        return bool(getattr(rank_zero_only, "rank", 0))


class RankZeroCallback(Options, Callback):  # noqa: D101 - it is the base's
    __doc__ = Options.__doc__

    def __init__(
        self, log: str | None = "gradients", log_freq: int | None = None, histograms: bool | str = False
    ) -> None:
        super().__init__(log, log_freq, histograms)
        install(LIGHTNING)

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        install(LIGHTNING)
