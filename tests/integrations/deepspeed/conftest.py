"""Jobs and what they recorded, as in the tests of PyTorch."""

from __future__ import annotations

from tests.integrations.pytorch.conftest import job, read, root

__all__ = ["job", "read", "root"]
