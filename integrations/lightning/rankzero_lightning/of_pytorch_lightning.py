"""The classes for those who import `pytorch_lightning`."""

# pyright: reportMissingImports=false
from __future__ import annotations

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from rankzero.plugin import Run
from rankzero_lightning.flavored import FlavoredCallback, FlavoredLogger
from rankzero_lightning.flavors import PYTORCH_LIGHTNING
from rankzero_lightning.logger import LoggerCore
from rankzero_lightning.options import Options


class RankZeroLogger(FlavoredLogger, Logger):  # noqa: D101 - it is the base's
    __doc__ = LoggerCore.__doc__
    _flavor = PYTORCH_LIGHTNING
    _rank_zero_only = rank_zero_only

    @property
    @rank_zero_experiment
    def experiment(self) -> Run:
        """The run on rank zero; elsewhere something that accepts every call and does nothing."""
        return self.live()


class RankZeroCallback(FlavoredCallback, Callback):  # noqa: D101 - it is the base's
    __doc__ = Options.__doc__
    _flavor = PYTORCH_LIGHTNING
