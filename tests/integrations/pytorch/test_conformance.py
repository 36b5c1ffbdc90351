"""PyTorch passes what every integration passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankzero.testing.conformance import Conformance

pytest.importorskip("torch", reason="torch is not installed: pip install 'rankzero[pytorch]'")
pytestmark = pytest.mark.slow


class TestPyTorch(Conformance):
    """Plain PyTorch: `run.watch` by hand, and loops with no change."""

    program = f"{Path(__file__).parent / 'scripts' / 'conforms.py'}:train"
    packages = ("rankzero_pytorch",)
    frameworks = ("torch",)
    signs_checkpoints = False
