"""Jobs and what they recorded, as in the tests of PyTorch."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.integrations.pytorch.conftest import job, read, root

__all__ = ["job", "read", "root"]


@pytest.fixture(autouse=True)
def _compiles_in_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What DeepSpeed compiles is kept there: in the user's folder it would wait for one who was killed as he compiled."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(Path(sys.prefix) / "torch_extensions"))
