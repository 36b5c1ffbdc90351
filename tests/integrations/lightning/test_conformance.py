"""Lightning passes what every integration passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankzero.testing.conformance import Conformance

pytest.importorskip("lightning", reason="lightning is not installed: pip install 'rankzero[lightning]'")
pytestmark = pytest.mark.slow


class TestLightning(Conformance):
    """`RankZeroLogger`, and Trainers with no change."""

    program = f"{Path(__file__).parent / 'scripts' / 'conforms.py'}:train"
    packages = ("rankzero_lightning", "rankzero_pytorch")
    frameworks = ("lightning", "torch")
