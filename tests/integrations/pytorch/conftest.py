"""Reading back what a test recorded, straight from the journals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import rankzero
from rankzero.records import Capture, Columns, Config, Event, Histogram, Phase, Record, Start, Text, decode_line

SCRIPTS = Path(__file__).parent / "scripts"


class Recorded:
    """Everything in the journals of one run: series by key and rank, and the other records in order."""

    def __init__(self, folder: Path) -> None:
        self.series: dict[str, dict[int, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
        self.local: set[str] = set()
        self.records: list[Record] = []
        self.starts: list[Start] = []
        for path in sorted((folder / "journal").glob("*.jsonl")):
            self._read(path)

    def _read(self, path: Path) -> None:
        columns: dict[int, Columns] = {}
        for line in path.read_bytes().splitlines():
            found = decode_line(line)
            if isinstance(found, Start):
                self.starts.append(found)
            elif isinstance(found, Columns):
                columns[found.id] = found
            elif isinstance(found, list) and found[0] != "h":
                self._add(columns[found[0]], found[1], found[3:], self.starts[-1].rank)
            elif found is not None and not isinstance(found, list):
                self.records.append(found)

    def _add(self, column: Columns, step: int, values: list[float], rank: int) -> None:
        for key, value in zip(column.keys, values, strict=True):
            self.series[key][rank].append((step, value))
            if column.local:
                self.local.add(key)

    def values(self, key: str, rank: int = 0) -> list[float]:
        """The values of a metric, in order."""
        return [value for _, value in self.series[key][rank]] if key in self.series else []

    def steps(self, key: str, rank: int = 0) -> list[int]:
        """The steps of a metric, in order."""
        return [step for step, _ in self.series[key][rank]] if key in self.series else []

    @property
    def config(self) -> dict[str, object]:
        """The config as merged."""
        merged: dict[str, object] = {}
        for record in self.records:
            if isinstance(record, Config):
                merged.update(record.values)
        return merged

    def events(self, name: str) -> list[Event]:
        """Events of a name."""
        return [record for record in self.records if isinstance(record, Event) and record.event == name]

    def histograms(self, key: str) -> list[Histogram]:
        """Histograms of a key."""
        return [record for record in self.records if isinstance(record, Histogram) and record.key == key]

    def texts(self, key: str) -> list[str]:
        """Texts of a key."""
        return [record.value for record in self.records if isinstance(record, Text) and record.key == key]

    def phases(self) -> list[str]:
        """The phases that began, in order."""
        return [record.phase for record in self.records if isinstance(record, Phase)]

    def captured(self, outcome: str) -> set[str]:
        """What the capture report says was recorded, seen or off."""
        return {record.what for record in self.records if isinstance(record, Capture) and record.outcome == outcome}


def folders(root: Path) -> list[Path]:
    """The runs' folders under a root."""
    return sorted(path.parent for path in root.glob("*/*/journal"))


def only(root: Path) -> Recorded:
    """What the one run under a root recorded."""
    found = folders(root)
    assert len(found) == 1, f"{len(found)} runs under {root}"
    return Recorded(found[0])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty root folder for runs."""
    monkeypatch.setenv("RANKZERO_DIR", str(tmp_path / "runs"))
    for name in ("CODE", "PACKAGES", "CONSOLE"):
        monkeypatch.setenv(f"RANKZERO_{name}", "0")
    return tmp_path / "runs"


@pytest.fixture
def read() -> Callable[[Path], Recorded]:
    """Reads what the one run under a root recorded."""
    return only


@pytest.fixture
def run(root: Path) -> Iterator[rankzero.Run]:
    """A run under that root; `recorded` reads it when it is over."""
    torch.manual_seed(0)
    opened = rankzero.init(project="test", dir=root)
    yield opened
    opened.finish()


@pytest.fixture
def recorded(run: rankzero.Run, root: Path) -> Callable[[], Recorded]:
    """Finish the run and read what it recorded."""

    def finish() -> Recorded:
        run.finish()
        return only(root)

    return finish


Job = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def job(root: Path) -> Job:
    """Run a command to its end, in its own processes, and return what it printed; `processes` puts torchrun in front."""

    def start(
        *command: str, processes: int = 0, below: bool = False, code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        programs = Path(sys.executable).parent
        torchrun = [str(programs / "torchrun"), "--standalone", f"--nproc-per-node={processes}"]
        python = [] if command[0].startswith("-") or not processes else torchrun
        full = [*(python or [sys.executable]), *command]
        if below:
            full = [str(programs / "rankzero"), "run", "--", *full]
        environ = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        done = subprocess.run(
            full, cwd=root.parent, env=environ, capture_output=True, text=True, check=False, timeout=200
        )
        assert done.returncode == code, done.stdout[-4000:] + done.stderr[-8000:]
        return done

    return start
