"""Which releases of a framework can be recorded: what the extras of rankzero, or of another distribution, declare."""

from __future__ import annotations

import contextlib
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from rankzero.errors import MissingDependencyError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

TOOLS = {"dev", "bench"}
"""Extras that say nothing of what is supported."""


class Requirement(NamedTuple):
    """The oldest release of a framework that is supported, empty if any, and what pip is to install."""

    least: str
    source: str


@cache
def declared(distribution: str = "rankzero") -> dict[str, Requirement]:
    """What the metadata of an installed distribution declares, by normal name; of several extras the first counts."""
    from importlib import metadata

    try:
        lines = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return {}
    found: dict[str, Requirement] = {}
    for line in lines:
        text, _, marker = (part.strip() for part in line.partition(";"))
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        if extra is not None and extra[1] in TOOLS:
            continue
        name = re.split(r"[^\w.-]", text, maxsplit=1)[0]
        least = re.search(r">=\s*([\w.]+)", text)
        source = f"{distribution}[{extra[1]}]" if extra else text
        found.setdefault(normal(name), Requirement(least[1] if least else "", source))
    return found


def require(*names: str, distribution: str = "rankzero") -> None:
    """See `rankzero.plugin.require`."""
    from importlib import metadata, util

    for name in names:
        wanted = declared(distribution).get(normal(name), Requirement("", name))
        if util.find_spec(name.replace("-", "_")) is None:
            raise MissingDependencyError(f"{name} is not installed: pip install '{wanted.source}'")
        with contextlib.suppress(
            metadata.PackageNotFoundError
        ):  # another distribution's name: its release says nothing
            if not at_least(version := metadata.version(name), wanted.least):
                raise MissingDependencyError(too_old(name, version, wanted.least))


def least_of(integration: EntryPoint) -> str:
    """The oldest release of its framework that an integration supports, as its distribution declares; empty if any."""
    of = integration.dist.name if integration.dist is not None else "rankzero"
    return declared(of).get(normal(integration.name), Requirement("", "")).least


def complaint(framework: str, least: str) -> str:
    """What is wrong with the framework that this process has imported, in one sentence; empty if it is not too old."""
    version = str(getattr(sys.modules[framework], "__version__", ""))
    return too_old(framework, version, least) if version and not at_least(version, least) else ""


def at_least(version: str, least: str) -> bool:
    """Whether a release is not older than another; true if there is no other."""
    return not least or _numbers(version) >= _numbers(least)


def too_old(name: str, version: str, least: str) -> str:
    """One sentence with the pip command."""
    return f"{name} {version} is older than {least}, the oldest that rankzero supports: pip install '{name}>={least}'"


def normal(name: str) -> str:
    """A distribution's name in its normal form (PyPA's "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _numbers(version: str) -> list[int]:
    parts = [*version.split("+", maxsplit=1)[0].split("."), "0", "0"]
    return [int("".join(filter(str.isdigit, part)) or 0) for part in parts[:3]]
