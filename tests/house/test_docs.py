"""The documents are true: their Python examples run and their links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rankzero.run.facts.system import UNITS

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {
    "huggingface": "transformers",
    "jax": "optax",
    "keras": "keras",
    "lightning": "lightning",
    "pytorch": "torch",
}
"""What a page of docs/integrations needs to have installed; its own tests run it where it is."""
SHOWN = [
    "examples/xgboost/rankzero_xgboost.py",
    "examples/xgboost/pyproject.toml",
    "tests/integrations/xgboost/test_conformance.py",
]
"""Files that CONTRIBUTING.md shows; their own tests run them."""
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def _examples() -> dict[str, str]:
    found = {}
    shown = {(ROOT / name).read_text(encoding="utf-8") for name in SHOWN}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            if match[1] not in shown:
                found[f"{page.relative_to(ROOT)}:{line}"] = match[1]
    return found


EXAMPLES = _examples()


@pytest.mark.parametrize(("place", "code"), EXAMPLES.items(), ids=EXAMPLES.keys())
def test_python_examples_run(place: str, code: str, tmp_path: Path) -> None:
    """A fenced Python block is a program that works as it stands, in an empty folder."""
    page = Path(place.partition(":")[0])
    needed = FRAMEWORKS.get(page.stem, page.stem)
    if page.parent.name == "integrations" and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    environ = {**os.environ, "RANKZERO_DIR": str(tmp_path / "runs"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SHOWN)
def test_contributing_shows_what_is_tested(name: str) -> None:
    """The worked example stands in CONTRIBUTING.md as it is under test, in under a hundred lines."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert f"\n{text}```" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file of this tree."""
    targets = [target for target in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_system_metric_is_documented() -> None:
    """docs/metrics.md names each system value that is sampled."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert [key for key in UNITS if f"`{key}`" not in page] == []
