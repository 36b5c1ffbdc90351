"""The page and the example do what they say."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from tests.integrations.hf.roots import BIN, REASON, Root
from tests.launchers.commands import torchrun

pytest.importorskip("transformers", reason=REASON)
pytest.importorskip("accelerate", reason=REASON)
REPOSITORY = Path(__file__).parents[3]
EXAMPLE = REPOSITORY / "examples" / "tiny_hf_trainer.py"
BLOCKS = re.findall(
    r"^```python\n(.*?)^```$", (REPOSITORY / "docs/integrations/huggingface.md").read_text(), re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize("code", BLOCKS, ids=["trainer", "callback", "accelerate"])
def test_page(root: Root, code: str) -> None:
    """A fenced block of the page is a program that works as it stands."""
    root.job(sys.executable, "-c", code)
    if "import Trainer" in code or "Trainer(model" in code:
        assert root.only()["name"] == "counting"
    if "Accelerator(" in code:
        assert root.only()["project"] == "my_project"


@pytest.mark.slow
@pytest.mark.skipif(
    int(metadata.version("transformers").partition(".")[0]) < 5,
    reason="transformers before 5 resumes on CPU in one process only, recorded or not",
)
def test_example_resumes(root: Root) -> None:
    """The example records itself by name, and its second part in two processes as the next attempt of the same run."""
    root.job(sys.executable, EXAMPLE, "--report-to", "rankzero", "--max-steps", "20")
    root.job(BIN / "rankzero", "run", *torchrun("--nproc-per-node=2"), EXAMPLE, "--max-steps", "25", "--resume")
    run = root.only()
    assert (run["attempts"], run["world_size"]) == (2, 2)
    assert run["points"]("optim/lr")["step"] == list(range(1, 26))
