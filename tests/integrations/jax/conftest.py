"""Runs made in this process and by scripts, read back with the command line as a user would."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.launchers.commands import clean_environ

import rankzero

RANKZERO = str(Path(sys.executable).parent / "rankzero")
SCRIPTS = Path(__file__).parent / "scripts"

if importlib.util.find_spec("jax") is not None and not os.environ.get("XLA_FLAGS"):
    import jax

    with contextlib.suppress(RuntimeError):  # started before, with as many devices as it has
        jax.config.update("jax_num_cpu_devices", 4)


class Recorded:
    """A root folder of runs and what is in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "runs"

    def start(self, *command: str, devices: int = 1, **environ: str) -> subprocess.Popen[str]:
        """Start a command that records here, on so many CPU devices."""
        more = {
            "RANKZERO_DIR": str(self.root),
            "RANKZERO_STRICT": "1",
            "RANKZERO_CODE": "off",
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        }
        return subprocess.Popen(
            [str(word) for word in command],
            env=clean_environ() | more | environ,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, devices: int = 1, timeout: float = 180, **environ: str) -> str:
        """Run a command to its end and return what it printed."""
        process = self.start(*command, devices=devices, **environ)
        printed, _ = process.communicate(timeout=timeout)
        assert process.returncode == 0, printed
        return printed

    def series(self, *keys: str) -> dict[str, dict[int, float]]:
        """Series of the latest run by name, each with its values by step."""
        found = self._json("history", "latest", *keys)
        return {key: dict(zip(found[key]["step"], found[key]["value"], strict=True)) for key in keys if key in found}

    def shown(self) -> dict[str, Any]:
        """The latest run, as `rankzero show` tells."""
        return self._json("show", "latest")  # type: ignore[no-any-return]

    def listed(self) -> list[dict[str, Any]]:
        """All runs, as `rankzero ls` tells."""
        return self._json("ls")  # type: ignore[no-any-return]

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The records of one kind in all journals."""
        found = []
        for journal in sorted(self.root.glob("*/*/journal/*.jsonl")):
            for line in journal.read_text().splitlines():
                record = json.loads(line)
                if isinstance(record, dict) and record.get("kind") == kind:
                    found.append(record)
        return found

    def _json(self, *command: str) -> Any:
        done = subprocess.run(
            [RANKZERO, *command, "--json", "--dir", str(self.root)],
            capture_output=True,
            text=True,
            check=False,
            env=clean_environ(),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    """An empty root folder."""
    return Recorded(tmp_path)


@pytest.fixture
def run(recorded: Recorded) -> Iterator[rankzero.Run]:
    """A run of this process."""
    made = rankzero.init(
        project="jax", dir=recorded.root, settings={"console": False, "code": False, "packages": False}
    )
    yield made
    made.finish()
