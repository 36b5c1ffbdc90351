"""Jobs that train with JAX on CPU devices, and runs of this process; what they recorded is read by `rankzero.testing`."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import rankzero
from rankzero.testing import Jobs, Recorded

SCRIPTS = Path(__file__).parent / "scripts"

PATIENT = "--xla_cpu_collective_call_terminate_timeout_seconds=600"
"""Four devices' parts of a collective wait for one another, on a machine that may give two cores to many: XLA would abort after 40 s."""

if importlib.util.find_spec("jax") is not None:
    if PATIENT not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {PATIENT}".strip()
    import jax

    with contextlib.suppress(RuntimeError):  # started before, with as many devices as it has
        jax.config.update("jax_num_cpu_devices", 4)


def on_devices(number: int) -> dict[str, str]:
    """Variables of a process with so many CPU devices."""
    return {"XLA_FLAGS": f"--xla_force_host_platform_device_count={number} {PATIENT}"}


def points(found: Recorded, *keys: str) -> dict[str, dict[int, float]]:
    """Rank zero's series of a run by name, each with its values by step, in order; without the names that it has not."""
    return {key: dict(sorted(found.series[key][0])) for key in keys if key in found.series}


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    """An empty folder for jobs, on CPUs."""
    return Jobs(tmp_path, JAX_PLATFORMS="cpu")


@pytest.fixture
def run(jobs: Jobs) -> Iterator[rankzero.Run]:
    """A run of this process, where those of jobs are."""
    made = rankzero.init(project="jax", dir=jobs.root, settings={"console": False, "code": False, "packages": False})
    yield made
    made.finish()
