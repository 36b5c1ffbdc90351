"""The two import names under which PyTorch Lightning is installed, and every name of its own that is used here."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from typing import Any

from rankzero.plugin import require


@dataclass(frozen=True, slots=True)
class Flavor:
    """One of the two packages. They hold the same code and share no class.

    Attributes:
        name: what users import.
        root: where its Trainer lives.
    """

    name: str
    root: str

    def module(self, path: str) -> Any:
        """A module of the package, by its path below `root`."""
        return importlib.import_module(f"{self.root}.{path}")


LIGHTNING = Flavor("lightning", "lightning.pytorch")
PYTORCH_LIGHTNING = Flavor("pytorch_lightning", "pytorch_lightning")


def in_use() -> Flavor:
    """The flavor that this process has imported, `lightning` if it has imported both or none and both are installed.

    Raises:
        MissingDependencyError: neither is installed, or in a release that is too old.
    """
    flavors = (LIGHTNING, PYTORCH_LIGHTNING)
    imported = [flavor for flavor in flavors if flavor.root in sys.modules]
    installed = [flavor for flavor in flavors if importlib.util.find_spec(flavor.name) is not None]
    chosen = (imported + installed + [LIGHTNING])[0]
    require(chosen.name)
    return chosen


def batches_that_stepped(trainer: Any) -> int:
    """How many batches a fit has trained on and stepped; what Lightning gives its loggers as the step."""
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)  # noqa: SLF001 - what the logger connector reads


def accumulates(trainer: Any, module: Any) -> bool:
    """Whether the optimizer does not step for the batch that just ended."""
    return bool(module.automatic_optimization and trainer.fit_loop._should_accumulate())  # noqa: SLF001 - no public way


def scaler_of(trainer: Any) -> Any:
    """The GradScaler of a fit in half precision, if any."""
    return getattr(trainer.precision_plugin, "scaler", None)


def is_fitting(trainer: Any) -> bool:
    """Whether `Trainer.fit` is under way, a validation inside it included."""
    return str(getattr(trainer.state.fn, "value", trainer.state.fn)) == "fit"
