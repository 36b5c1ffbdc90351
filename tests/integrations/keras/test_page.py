"""The page of this integration and the example script are true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras", reason="Keras is not installed: pip install 'rankzero[keras]'")
from tests.integrations.keras.conftest import Root

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def test_the_examples_on_the_page(root: Root) -> None:
    """They run as they stand, and record what the page says."""
    page = (ROOT / "docs" / "integrations" / "keras.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root.folder, env=root.environ(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    recorded = root.runs()[0]
    assert len(recorded.steps("val_loss")) == 3
    assert recorded.values("test_loss")


def test_the_example_script(root: Root) -> None:
    """It never mentions rankzero, learns to read digits, and is recorded with no change."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    script = ROOT / "examples" / "digits_keras.py"
    text = script.read_text(encoding="utf-8").replace("rankzero run", "")
    assert "rankzero" not in text
    root.script(script, "--epochs", "6", json_line=False)
    recorded = root.only()
    assert recorded.values("test_accuracy")[-1] > 0.8
    assert recorded.config["optimizer"]["learning_rate"]["class"] == "CosineDecay"
    assert len(recorded.steps("val_accuracy")) == 6
