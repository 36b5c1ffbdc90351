"""The name "rankzero" where transformers and accelerate look names up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from rankzero.plugin import after_import, replace, started_by_run

NAME = "rankzero"


def register() -> None:
    """Make the name known, now or as soon as either library is imported."""
    after_import("transformers.integrations.integration_utils", _to_transformers)
    after_import("accelerate.tracking", _to_accelerate)


def add_again(module: str) -> None:
    """The same once a class that was being imported itself when its library was is there."""
    add = {"transformers.integrations.integration_utils": _to_transformers, "accelerate.tracking": _to_accelerate}[
        module
    ]
    if module in sys.modules:
        add(sys.modules[module])


def _is_being_imported(module: str, name: str) -> bool:
    return module in sys.modules and not hasattr(sys.modules[module], name)


def _to_transformers(module: ModuleType) -> None:
    if _is_being_imported("rankzero_hf.callback", "RankZeroCallback"):
        return
    from rankzero_hf.callback import RankZeroCallback

    module.INTEGRATION_TO_CALLBACK[NAME] = RankZeroCallback
    if not started_by_run():  # there "all" is recorded anyway
        replace(module, "get_available_reporting_integrations", _with_ours)


def _with_ours(original: Callable[[], list[str]]) -> Callable[[], list[str]]:
    def get_available_reporting_integrations() -> list[str]:
        return [*original(), NAME]

    return get_available_reporting_integrations


def _to_accelerate(module: ModuleType) -> None:
    if _is_being_imported("rankzero_hf.tracker", "RankZeroTracker"):
        return
    from rankzero_hf.tracker import RankZeroTracker

    known: dict[str, Any] = module.LOGGER_TYPE_TO_CLASS
    if NAME not in known:
        known[NAME] = RankZeroTracker  # what register_tracker_class does, and enough for "all" before accelerate 1.15
    available: list[Any] = module.get_available_trackers()
    if not started_by_run() and NAME not in available:
        available.append(NAME)
    if not hasattr(module, "register_tracker_class"):  # before 1.15 no names but accelerate's own are taken
        replace(module, "filter_trackers", _by_our_name)
        after_import("accelerate.accelerator", _to_accelerator)


def _to_accelerator(module: ModuleType) -> None:
    replace(module, "filter_trackers", _by_our_name)


def _by_our_name(original: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    def filter_trackers(log_with: Any, *args: Any, **kwargs: Any) -> list[Any]:
        asked = list(log_with) if isinstance(log_with, list | tuple) else [log_with]
        if not any(isinstance(one, str) and one == NAME for one in asked):
            return original(log_with, *args, **kwargs)
        found = original([one for one in asked if not (isinstance(one, str) and one == NAME)], *args, **kwargs)
        return found if NAME in found else [*found, NAME]

    return filter_trackers
