"""The conformance tests let a good integration pass and find what is wrong with a bad one."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from rankzero.testing import Jobs
from rankzero.testing.conformance import Conformance

TOY = Path(__file__).parent / "toy"


class TestToy(Conformance):
    """An integration of a framework of ten lines."""

    program = f"{TOY / 'trains.py'}:train"
    packages = ("rankzero_toy",)
    frameworks = ("toy",)
    forms = ("by hand",)
    environ: ClassVar[dict[str, str]] = {"PYTHONPATH": str(TOY)}
    timeout = 60.0


@pytest.mark.parametrize(
    ("flaw", "test", "arguments", "said"),
    [
        ("import starts a thread", "importing_changes_nothing", (), "threads"),
        ("twice", "a_training_is_recorded_once", ("by hand",), "several values at steps|expected 6"),
        ("two integrations", "a_training_is_recorded_once", ("by hand",), "recorded by several integrations"),
        ("changes the training", "a_training_is_recorded_once", ("by hand",), "loss"),
        ("everybody speaks", "a_job_of_two_is_one_run", ("by hand",), "expected 6|stands for the job"),
        ("each for itself", "a_job_of_two_is_one_run", ("by hand",), "each rank wrote its own"),
        ("collective", "no_collective", (), "stopped after 5 s"),
        ("raises", "failures_are_silent", ("by hand",), "broken on purpose"),
        ("another run", "a_checkpoint_continues_its_run", ("by hand",), "expected one run"),
    ],
)
def test_a_flaw_is_found(tmp_path: Path, flaw: str, test: str, arguments: tuple[str, ...], said: str) -> None:
    """Each test fails where what it stands for does not hold, and says so."""

    class Flawed(TestToy):
        environ: ClassVar[dict[str, str]] = {"PYTHONPATH": str(TOY), "FLAW": flaw}
        timeout = 5.0 if flaw == "collective" else 60.0

    with pytest.raises(AssertionError, match=said):
        getattr(Flawed(), f"test_{test}")(Jobs(tmp_path, **Flawed.environ), *arguments)
