"""JAX passes what every integration passes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from rankzero.testing.conformance import Conformance

for name in ("jax", "optax", "orbax.checkpoint"):
    pytest.importorskip(name, reason=f"{name} is not installed: pip install 'rankzero[jax]'")
pytestmark = pytest.mark.slow


class TestJAX(Conformance):
    """`rankzero_jax.jit`, `log` and `capture` by hand, and plain loops with no change."""

    program = f"{Path(__file__).parent / 'scripts' / 'conforms.py'}:train"
    packages = ("rankzero_jax",)
    frameworks = ("jax", "optax", "orbax")
    environ: ClassVar[dict[str, str]] = {"JAX_PLATFORMS": "cpu"}
