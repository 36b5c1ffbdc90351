"""What this process compiles and the memory of its devices, into rows of its own beside those of its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rankzero.plugin import Run, feed, log_aside
from rankzero_jax.checkpoints import checkpoints
from rankzero_jax.compiles import compiles
from rankzero_jax.memory import Memory


class Surroundings:
    """Told by the writer thread of the run that is recorded to.

    Attributes:
        wanted: by whatever run comes.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._run: Run | None = None
        self._memory = Memory()

    def of(self, run: Run) -> None:
        """Tell this run from now on; once, however often it is asked for."""
        if run is not self._run:
            self._run = run
            feed(run, self._source(run))

    def meets(self, run: Run) -> None:
        """Tell this run, if that is wanted."""
        if self.wanted:
            self.of(run)

    def _source(self, run: Run) -> Callable[[], tuple[()]]:
        def ask() -> tuple[()]:
            step = checkpoints.step()
            for put in (compiles.put, self._memory.put):
                row: dict[str, Any] = {}
                put(row)
                if row and step is None:
                    run.log(row, commit=False, ranks="all")
                elif row:
                    log_aside(run, row, step or 0, ranks="all")
            return ()

        return ask


surroundings = Surroundings()
"""Of this process."""
