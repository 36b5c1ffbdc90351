"""What an integration builds on is there, in a supported release, or one sentence says what to do."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from rankzero.plugin import MissingDependencyError, require

REQUIRES = """Name: rankzero-mine
Version: 1.0
Requires-Dist: my-framework>=2.10.0,<4; extra == "fast"
Requires-Dist: my-framework>=1; extra == "dev"
Requires-Dist: Plain_One>=3
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions, one of which declares what it supports."""
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "rankzero_mine", "1.0", REQUIRES)
    return tmp_path


def install(site: Path, name: str, version: str, metadata: str = "") -> None:
    """Put a distribution there."""
    (site / f"{name}.py").touch()
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(metadata or f"Name: {name}\nVersion: {version}\n")


@pytest.mark.parametrize("version", ["2.10", "2.10.0rc1", "3.0+cpu", "10.1"])
def test_a_supported_release(site: Path, version: str) -> None:
    """The oldest that the extra declares, or a newer one, is all that was missing."""
    with pytest.raises(MissingDependencyError, match="my-framework is not installed"):
        require("my-framework", distribution="rankzero-mine")
    install(site, "my_framework", version)
    importlib.invalidate_caches()
    require("my-framework", distribution="rankzero-mine")


@pytest.mark.parametrize("version", ["2.9", "2.9.12", "1.99"])
def test_a_release_that_is_too_old(site: Path, version: str) -> None:
    """The sentence names both releases and the pip command."""
    install(site, "my_framework", version)
    with pytest.raises(
        MissingDependencyError, match=rf"{version} is older than 2\.10\.0.*pip install 'my-framework>=2\.10\.0'"
    ):
        require("my-framework", distribution="rankzero-mine")


def test_what_is_not_installed(site: Path) -> None:
    """The pip command names the extra, or the requirement where there is none."""
    with pytest.raises(
        MissingDependencyError, match=r"my-framework is not installed: pip install 'rankzero-mine\[fast\]'"
    ):
        require("my-framework", distribution="rankzero-mine")
    with pytest.raises(MissingDependencyError, match=r"plain-one is not installed: pip install 'Plain_One>=3'"):
        require("plain-one", distribution="rankzero-mine")


def test_under_another_distributions_name(site: Path) -> None:
    """What can be imported is there, whoever installed it."""
    (site / "my_framework.py").touch()
    require("my-framework", distribution="rankzero-mine")
    assert "my_framework" not in sys.modules
