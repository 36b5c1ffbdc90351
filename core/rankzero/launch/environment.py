"""The environment of the job: what `rankzero run` adds to that of its caller, and nothing else."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

from rankzero import settings
from rankzero.run.requirements import least_of

STARTUP = Path(__file__).parent / "startup"
"""The folder that goes to the front of PYTHONPATH; it holds sitecustomize.py and nothing else."""

GROUP = "rankzero.integrations"


def prepare(environ: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """The environment for a job.

    Args:
        environ: the caller's.
        variables: what the options set.

    Raises:
        SettingError: a RANKZERO_* variable has a value that cannot be used.
    """
    prepared = {**environ, **variables}
    chosen = settings.read(prepared)
    prepared["RANKZERO_DIR"] = str(chosen.root)
    if chosen.mode == "disabled":
        return prepared
    prepared["RANKZERO_LAUNCH"] = new_token(chosen.launch)
    prepared["RANKZERO_ACTIVATE"] = integrations()
    places = [place for place in environ.get("PYTHONPATH", "").split(os.pathsep) if place and place != str(STARTUP)]
    prepared["PYTHONPATH"] = os.pathsep.join([str(STARTUP), *places])
    return prepared


def new_token(outer: str) -> str:
    """A fresh token; below another `rankzero run` it begins with that one's, so that the outer one knows the inner ones' runs."""
    return ".".join(filter(None, [outer, secrets.token_hex(6)]))


def integrations() -> str:
    """Frameworks, where their integrations are and the oldest release they support, separated by commas.

    As in "torch=rankzero_pytorch:integration@2.9".

    Found once here, because looking through the installed packages takes a Python process tens of milliseconds.
    """
    found = {(entry.name, entry.value, least_of(entry)) for entry in entry_points(group=GROUP)}
    return ",".join(f"{name}={value}@{least}" if least else f"{name}={value}" for name, value, least in sorted(found))
