"""What happens in a process below `rankzero run` once a framework is there; imported then and not before."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rankzero.launch.inside import Parsed


def activate(framework: str, target: str) -> None:
    """Have an integration put its hooks in place, right after its framework was imported.

    Args:
        framework: the framework's import name.
        target: where the integration is and the oldest release it supports, "module:attribute@release". An older one is left
            alone, and a sentence says so.
    """
    from rankzero.plugin import guard, report, warn_once
    from rankzero.run.requirements import complaint

    place, _, least = target.partition("@")
    with guard(f"activating rankzero for {framework}"):
        if why := complaint(framework, least):
            warn_once(f"{framework} is too old", f"{why}; what uses it directly is not recorded")
            report(framework, "off", framework, why)
            return
        module, _, attribute = place.partition(":")
        getattr(importlib.import_module(module), attribute).activate()


def connect(parsed: Parsed) -> None:
    """Let this process's runs have what its parsers found."""
    from rankzero.plugin import offer_config

    parsed.give_to(offer_config)
