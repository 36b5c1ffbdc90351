"""The tests that every integration passes; subclass `Conformance` in a test file.

    from rankzero.testing.conformance import Conformance

    class TestConformance(Conformance):
        program = str(Path(__file__).parent / "trains.py:train")
        packages = ("rankzero_mine",)
        frameworks = ("mine",)

`trains.py` holds `train(plan)`, see `rankzero.testing.Plan`.
"""

import pytest

pytest.register_assert_rewrite("rankzero.testing.conformance.suite", "rankzero.testing.conformance.checks")

from rankzero.testing.conformance.suite import Conformance  # noqa: E402 - pytest explains failures of what comes after

__all__ = ["Conformance"]
