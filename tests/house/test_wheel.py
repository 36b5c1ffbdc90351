"""The distribution: what an sdist and the wheel built from it hold."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / "core" / "rankzero", *ROOT.glob("integrations/*/rankzero_*")]
PACKAGES = {folder.name: folder.parent for folder in FOLDERS}


def _build(source: Path, kind: str, into: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(into)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    return next(into.iterdir())


pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel built from the sdist, as an installer that finds no wheel builds it."""
    folder = tmp_path_factory.mktemp("dist")
    with tarfile.open(_build(ROOT, "sdist", folder / "sdist")) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    return zipfile.ZipFile(_build(next((folder / "unpacked").iterdir()), "wheel", folder / "wheel"))


def test_the_wheel_holds_every_source_file(wheel: zipfile.ZipFile) -> None:
    """Each file of each package arrives: modules, py.typed, and the sitecustomize of `rankzero run`."""
    expected = {
        str(path.relative_to(root))
        for package, root in PACKAGES.items()
        for path in (root / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {"rankzero/py.typed", "rankzero_pytorch/py.typed"} <= expected
    assert any(name.endswith("sitecustomize.py") for name in expected)
    assert expected <= set(wheel.namelist())


def test_the_wheel_brings_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Nothing lands beside the packages: no .pth file, no top-level sitecustomize, no tests."""
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_the_wheel_declares_its_entry_points(wheel: zipfile.ZipFile) -> None:
    """The command and the PyTorch integration are found by whoever installs the wheel."""
    name = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(name).decode()
    assert "rankzero = rankzero.cli:main" in text
    assert "torch = rankzero_pytorch:integration" in text
    assert [package for package in PACKAGES if f"= {package}" not in text] == []
