"""Keras passes what every integration passes: tried on JAX, whose import is the fastest; the hooks are the same on all."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import BACKEND

from rankzero.testing.conformance import Conformance

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BACKEND != "jax", reason="tried on JAX, whose import is the fastest: make test-keras-jax"),
]


class TestKeras(Conformance):
    """A callback by hand, and fits with no change."""

    program = f"{Path(__file__).parent / 'scripts' / 'conforms.py'}:train"
    packages = ("rankzero_keras",)
    frameworks = ("keras", "jax")
    environ = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}  # noqa: RUF012 - as its base has it
