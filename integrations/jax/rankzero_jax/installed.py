"""Importing this makes sure that JAX is there; without it one sentence says what to do."""

from __future__ import annotations

from rankzero.plugin import require

require("jax")
