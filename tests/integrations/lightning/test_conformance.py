"""Lightning passes what every integration passes."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from rankzero.testing.conformance import Conformance

pytest.importorskip("lightning", reason="lightning is not installed: pip install 'rankzero[lightning]'")
NEWEST = tuple(map(int, metadata.version("lightning").split(".")[:2])) >= (2, 6)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NEWEST, reason="tried with the newest Lightning: make test-lightning"),
]


class TestLightning(Conformance):
    """`RankZeroLogger`, and Trainers with no change."""

    program = f"{Path(__file__).parent / 'scripts' / 'conforms.py'}:train"
    packages = ("rankzero_lightning", "rankzero_pytorch")
    frameworks = ("lightning", "torch")
