"""The page of this integration and its example are true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integrations.lightning.conftest import Command, folders, only

pytest.importorskip("lightning", reason="lightning is not installed: pip install 'rankzero[lightning]'")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def test_the_example_on_the_page(tmp_path: Path) -> None:
    """It runs as it stands, and records what the page says."""
    page = (ROOT / "docs" / "integrations" / "lightning.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    environ = {**os.environ, "RANKZERO_DIR": str(tmp_path / "runs")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    recorded = only(tmp_path / "runs")
    assert recorded.steps("train_loss") == list(range(20))
    assert len(list((folders(tmp_path / "runs")[0] / "files").glob("*.ckpt"))) == 1


def test_the_example_script(command: Command) -> None:
    """It never mentions rankzero, learns to read digits, and is recorded with no change, in two processes."""
    pytest.importorskip("sklearn")
    script = ROOT / "examples" / "digits_lightning.py"
    assert "rankzero" not in script.read_text(encoding="utf-8").lower()
    command.python(str(script), "--devices", "2", "--epochs", "4", below=True)
    recorded = only(command.root)
    assert {start.world_size for start in recorded.starts} == {2}
    assert recorded.values("test_accuracy")[-1] > 0.8
    assert recorded.config["batch_size"] == 32
