"""What importing costs, and how soon the first record is on disk.

python -m benchmarks.bench_import
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import harness
from benchmarks.loggers import OPENERS, stay_local

MODULES = {
    "rankzero": "rankzero",
    "rankzero, init loaded": "rankzero.run.init",
    "tensorboardX": "tensorboardX",
    "trackio": "trackio",
    "wandb": "wandb",
}
TRACKERS = ["rankzero", "tensorboardX", "trackio", "wandb offline"]
ROUNDS = 9


def main() -> None:
    harness.heading("import: milliseconds in a new process")
    found = harness.interleaved(
        ROUNDS, list(MODULES), lambda name: harness.fresh("bench_import", "import", MODULES[name])
    )
    harness.table(["", "CPU", "wall"], [[name, figures["cpu"], figures["wall"]] for name, figures in found.items()])
    harness.promise("CPU of import rankzero", found["rankzero"]["cpu"], 30.0, " ms")
    harness.promise("CPU of all that its first init() loads", found["rankzero, init loaded"]["cpu"], 30.0, " ms")

    harness.heading("From init() on, the tracker imported: milliseconds")
    found = harness.interleaved(5, TRACKERS, lambda name: harness.fresh("bench_import", "init", name))
    rows = [[name, figures["ready"], figures["first"]] for name, figures in found.items()]
    harness.table(["", "init and log return", "first row on disk (10,000: not in 10 s)"], rows)
    harness.promise("init to first record", found["rankzero"]["first"], 50.0, " ms")


def one_import(module: str) -> None:
    """Import a module and what it needs."""
    wall, cpu = time.perf_counter(), time.process_time()
    importlib.import_module(module)
    harness.answer(cpu=(time.process_time() - cpu) * 1e3, wall=(time.perf_counter() - wall) * 1e3)


def one_init(name: str) -> None:
    """Open a logger, log one row, and wait until its name is in some file (or ten seconds, or the logger's finish)."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.redirect_stdout(io.StringIO()):
        stay_local(Path(folder))
        importlib.import_module(MODULES.get(name, "wandb"))
        start = time.perf_counter()
        logger = OPENERS[name](Path(folder))
        logger.log({"needle": 0.5}, 1)
        ready = time.perf_counter() - start
        while time.perf_counter() - start < 10 and not _on_disk(Path(folder)):
            time.sleep(0.001)
        first = time.perf_counter() - start
        logger.finish()
    harness.answer(ready=ready * 1e3, first=first * 1e3)


def _on_disk(folder: Path) -> bool:
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and b"needle" in path.read_bytes():
                return True
    return False


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"import": one_import, "init": one_init}[sys.argv[1]](sys.argv[2])
    else:
        main()
