"""What only JAX has: `keras.distribution`, and steps of optimizers in functions that the program compiles."""

from __future__ import annotations

import pytest

pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import BACKEND, Root

from rankzero.run.requirements import complaint

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BACKEND != "jax", reason="the backend is another one")]

heard = pytest.mark.skipif(
    BACKEND == "jax" and bool(complaint("jax", "0.8")), reason="JAX is too old to see steps of compiled functions"
)


def test_batches_spread_over_devices(root: Root) -> None:
    """With DataParallel and no change there is one run, and the gradient's norm is that of the whole batch, once."""
    devices = "--xla_force_host_platform_device_count=2"
    told = root.script("sharded.py", RANKZERO_GRADIENTS="params", RANKZERO_LOG_EVERY="1", XLA_FLAGS=devices)
    recorded = root.only()
    assert recorded.values("grad/norm") == pytest.approx([told["norm"]], rel=1e-3)
    assert recorded.steps("loss") == [1]
    assert len(recorded.config["devices"]) == 2


@heard
@pytest.mark.parametrize("how", ["added up", "scaled", "scaled op by op", "scaled apart"])
def test_optimizers_in_a_jitted_loop(root: Root, how: str) -> None:
    """Gradients that are added up are a step each; of a scaled loss, loss and gradient are the program's own, unscaled."""
    below = root.script("jitted.py", how, RANKZERO_LOG_EVERY="1")
    assert root.script("jitted.py", how, below=False) == below
    recorded = root.only()
    assert recorded.steps("loss") == [1, 2, 3, 4]
    assert recorded.values("loss") == pytest.approx(below["losses"], rel=1e-4)
    assert recorded.values("grad/norm") == pytest.approx(below["norms"], rel=1e-4)
    assert recorded.values("optim/lr") == pytest.approx([0.01] * 4)
    assert recorded.config["optimizer"]["class"] == ("SGD" if how == "added up" else "LossScaleOptimizer")


@heard
def test_a_fit_that_adds_gradients_up_is_left_alone(root: Root) -> None:
    """What listens to loops of one's own on JAX looks at nothing while Keras drives: it has nothing to complain of."""
    root.script("jitted.py", "fit")
    assert root.warned == ""
    assert sorted(set(root.only().steps("loss"))) == [1, 2, 3, 4]
