"""Hugging Face's Trainer passes what every integration passes."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from tests.integrations.hf.roots import REASON

from rankzero.testing.conformance import Conformance

pytest.importorskip("transformers", reason=REASON)
pytest.importorskip("accelerate", reason=REASON)
NEWEST = metadata.version("transformers").partition(".")[0] >= "5"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NEWEST, reason="tried with the newest transformers: make test-hf"),
]


class TestTrainer(Conformance):
    """`report_to="rankzero"`, and Trainers with no change."""

    program = f"{Path(__file__).parent / 'scripts' / 'conforms.py'}:train"
    packages = ("rankzero_hf", "rankzero_pytorch")
    frameworks = ("transformers", "accelerate", "torch")
    repeats = frozenset({"epoch"})
    registers = frozenset({"transformers.integrations.integration_utils.get_available_reporting_integrations"})
    environ = {"PYTHONWARNINGS": "ignore"}  # noqa: RUF012
