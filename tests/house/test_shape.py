"""The shape of the source: small files, small functions, no cycles, tests that say what they promise."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ["core", "integrations", "server", "tests", "benchmarks", "examples"]


def _python_files() -> list[Path]:
    return sorted(path for source in SOURCES for path in (ROOT / source).rglob("*.py"))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_files_have_at_most_400_lines() -> None:
    """One idea a file."""
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _python_files()}
    assert {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 400} == {}


def test_functions_have_at_most_60_lines() -> None:
    """A function can be read at one glance."""
    long = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in _python_files()
        for function in _functions(path)
        if (function.end_lineno or 0) - function.lineno >= 60
    ]
    assert long == []


def test_every_test_says_what_it_promises() -> None:
    """A test without a docstring promises nothing."""
    silent = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for function in _functions(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert silent == []


def test_no_import_cycles() -> None:
    """No module reaches itself through its imports, inside a room or across rooms."""
    packages = sorted(path.name for path in ROOT.glob("integrations/*/rankzero_*"))
    graph = grimp.build_graph("rankzero", *packages, exclude_type_checking_imports=True, cache_dir=None)
    cyclic = [name for name in sorted(graph.modules) if name in graph.find_upstream_modules(name)]
    assert cyclic == []


def _tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_no_machine_paths() -> None:
    """The tree works anywhere: it names no folder of one machine and no package registry."""
    places = re.compile("|".join(["/" + "work/", "/tmp/" + "hq", "/opt/" + "(pypi|wheels)", "files.python" + "hosted"]))
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in _tracked()
        if (match := places.search(path.read_text(encoding="utf-8", errors="ignore")))
    ]
    assert found == []
