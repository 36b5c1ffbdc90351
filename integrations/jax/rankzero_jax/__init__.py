"""rankzero for JAX: values from inside compiled functions, gradients of optax optimizers, and scripts recorded with no change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rankzero_jax import installed  # noqa: F401 - first: the rest imports JAX
from rankzero_jax.identity import run_of
from rankzero_jax.integration import JAX, integration, listen
from rankzero_jax.metric_writer import MetricWriter
from rankzero_jax.programs import jit
from rankzero_jax.tracing import log

if TYPE_CHECKING:
    from rankzero_jax.capturing import capture, record

__all__ = ["JAX", "MetricWriter", "capture", "integration", "jit", "listen", "log", "record", "run_of"]


def __getattr__(name: str) -> Any:
    """`capture` and `record` need optax, which a program that only logs may not have."""
    if name in {"capture", "record"}:
        from rankzero.plugin import require

        require("optax")
        from rankzero_jax import capturing

        return getattr(capturing, name)
    raise AttributeError(f"module 'rankzero_jax' has no attribute {name!r}")
