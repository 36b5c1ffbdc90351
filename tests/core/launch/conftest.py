"""Real `rankzero run`s, each in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

FRAMEWORK = """
import os
__version__ = os.environ.get("FRAMEWORK_VERSION", "2.0")
complete = False
import framework.part
def train(**loss):
    pass
complete = True
"""
INTEGRATION = """
import os
from rankzero import plugin

class Integration(plugin.Integration):
    name = framework = "framework"

    def activate(self):
        import framework
        assert framework.complete
        framework.activated = getattr(framework, "activated", 0) + 1
        framework.train = self.train
        if os.environ.get("BREAK"):
            raise ValueError("broken on purpose")

    def train(self, **values):
        run = plugin.training_run("framework")
        plugin.report("loss", "recorded", "framework")
        plugin.report("grad/norm", "seen", "framework", "it has no gradients")
        plugin.report("weight/norm", "off", "framework", "--gradients is norm")
        run.log(values)

integration = Integration()
"""

MAIN = "import sys; from rankzero.launch import main; sys.exit(main(sys.argv[1:]))"
PATIENCE = 60.0


class Launcher:
    """Runs commands in one folder, with `rankzero run` and without."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "runs"
        self.environ = {**os.environ, "RANKZERO_DIR": str(self.root), "PYTHONUNBUFFERED": "1"}
        self.rankzero_run = [sys.executable, "-c", MAIN]
        self.started: list[subprocess.Popen[bytes]] = []

    def script(self, text: str, name: str = "script.py") -> str:
        """Write a script; returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def run(
        self, *argv: str, environ: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """`rankzero run *argv`, to its end."""
        return self.plainly(*self.rankzero_run, *argv, environ=environ, **options)

    def plainly(
        self, *argv: str, environ: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """A command without `rankzero run`, to its end."""
        environ = {**self.environ, **(environ or {})}
        return subprocess.run(
            argv, cwd=self.folder, env=environ, capture_output=True, check=False, timeout=PATIENCE, **options
        )

    def python(self, code: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """`rankzero run python -c code`, to its end."""
        return self.run(sys.executable, "-c", code, **options)

    def start(self, *argv: str, **options: Any) -> subprocess.Popen[bytes]:
        """`rankzero run *argv`, left running."""
        return self.start_plainly(*self.rankzero_run, *argv, **options)

    def start_plainly(self, *argv: str, **options: Any) -> subprocess.Popen[bytes]:
        """A command without `rankzero run`, left running."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        started: subprocess.Popen[bytes] = subprocess.Popen(argv, cwd=self.folder, env=self.environ, **streams)
        self.started.append(started)
        return started


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    """A launcher; what it left running is killed."""
    launcher = Launcher(tmp_path)
    yield launcher
    for process in launcher.started:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def framework(launcher: Launcher) -> dict[str, str]:
    """The environment with a framework and its integration, made for tests and found like any other, by entry point."""
    site = launcher.folder / "site"
    launcher.script(FRAMEWORK, "site/framework/__init__.py")
    launcher.script("", "site/framework/part.py")
    launcher.script(INTEGRATION, "site/framework_rankzero.py")
    metadata = "Name: framework-rankzero\nVersion: 1.0\nRequires-Dist: framework>=1.10\n"
    launcher.script(metadata, "site/framework_rankzero-1.0.dist-info/METADATA")
    points = "[rankzero.integrations]\nframework = framework_rankzero:integration\n"
    launcher.script(points, "site/framework_rankzero-1.0.dist-info/entry_points.txt")
    return {"PYTHONPATH": str(site)}
