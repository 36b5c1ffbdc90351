"""Recording training scripts that never mention rankzero, in processes started by `rankzero run`."""

from rankzero_jax.zero_change.hooks import activate

__all__ = ["activate"]
