"""Its integration, by hand only, with the flaw that the variable FLAW names."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from rankzero.plugin import Run, guarded, open_run, report

FLAW = os.environ.get("FLAW", "")
if FLAW == "import starts a thread":
    threading.Thread(target=time.sleep, args=(600,), name="restless", daemon=True).start()


class Recorder:
    """Listens to a fit and records it."""

    def __init__(self, run_id: str) -> None:
        self.run: Run = open_run("toy", id="" if FLAW == "another run" else run_id)
        self.run.config.update({"lr": 0.1})
        report("loss", "recorded", "toy")
        if FLAW == "two integrations":
            report("loss", "recorded", "another")

    def hear(self, step: int, loss: float) -> None:
        """Record a step."""
        if FLAW == "raises":
            self._hear(step, loss)
        else:
            guarded("recording a step")(self._hear)(step, loss)

    def _hear(self, step: int, loss: float) -> None:
        self.run.log({"loss": loss}, step=step, ranks="all" if FLAW == "each for itself" else None)
        if FLAW == "twice":
            self.run.log({"loss": loss}, step=step)
        if FLAW == "everybody speaks":
            self.run.summary["loss"] = loss
            self.run.log({"loss": loss}, step=step, ranks="all")
        if FLAW == "collective":
            _barrier(step)


def _barrier(step: int) -> None:
    """Wait until every rank is here."""
    rank, ranks = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    Path(f"here-{step}-{rank}").touch()
    while len(list(Path().glob(f"here-{step}-*"))) < ranks:
        time.sleep(0.01)
