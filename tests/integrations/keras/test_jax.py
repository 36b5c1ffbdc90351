"""What only JAX has: `keras.distribution`."""

from __future__ import annotations

import pytest

pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import BACKEND, Root

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BACKEND != "jax", reason="the backend is another one")]


def test_batches_spread_over_devices(root: Root) -> None:
    """With DataParallel and no change there is one run, and the gradient's norm is that of the whole batch, once."""
    devices = "--xla_force_host_platform_device_count=2"
    told = root.script("sharded.py", RANKZERO_GRADIENTS="params", RANKZERO_LOG_EVERY="1", XLA_FLAGS=devices)
    recorded = root.only()
    assert recorded.values("grad/norm") == pytest.approx([told["norm"]], rel=1e-3)
    assert recorded.steps("loss") == [1]
    assert len(recorded.config["devices"]) == 2
