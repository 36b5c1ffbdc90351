"""The classes for those who import `lightning`."""

# pyright: reportMissingImports=false
from __future__ import annotations

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from rankzero.plugin import Run
from rankzero_lightning.flavored import FlavoredCallback, FlavoredLogger
from rankzero_lightning.flavors import LIGHTNING
from rankzero_lightning.logger import LoggerCore
from rankzero_lightning.options import Options


class RankZeroLogger(FlavoredLogger, Logger):  # noqa: D101 - it is the base's
    __doc__ = LoggerCore.__doc__
    _flavor = LIGHTNING
    _rank_zero_only = rank_zero_only

    @property
    @rank_zero_experiment
    def experiment(self) -> Run:
        """The run on rank zero; elsewhere something that accepts every call and does nothing."""
        return self.live()


class RankZeroCallback(FlavoredCallback, Callback):  # noqa: D101 - it is the base's
    __doc__ = Options.__doc__
    _flavor = LIGHTNING
