"""The worked example of CONTRIBUTING.md passes what every integration passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankzero.testing.conformance import Conformance

pytest.importorskip("xgboost", reason="XGBoost is not installed: pip install xgboost-cpu")
pytest.importorskip("rankzero_xgboost", reason="the example is not installed: pip install -e examples/xgboost")


class TestXGBoost(Conformance):
    """The callback, and trainings with no change."""

    program = f"{Path(__file__).parent / 'scripts' / 'conforms.py'}:train"
    packages = ("rankzero_xgboost",)
    frameworks = ("xgboost",)
    metric = "train-rmse"
