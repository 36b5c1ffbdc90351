"""What this process compiles and the memory of its devices, into rows of its own beside those of its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

from rankzero.plugin import Run, feed, guarded
from rankzero_jax.checkpoints import checkpoints
from rankzero_jax.compiles import compiles
from rankzero_jax.memory import Memory


class Surroundings:
    """Told by the writer thread of the run that is recorded to, at most once a step.

    Attributes:
        wanted: by whatever run comes.
        step: the number of the step last taken by hand, of whatever training, for they are counted on; None before the first.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.step: int | None = None
        self._run: Run | None = None
        self._memory = Memory()

    @guarded("listening to compilations")
    def of(self, run: Run) -> None:
        """Tell this run from now on; once, however often it is asked for."""
        if run is not self._run:
            self._run, self.step = run, None
            feed(run, self._source(run))

    def meets(self, run: Run) -> None:
        """Tell this run, if that is wanted."""
        if self.wanted:
            self.of(run)

    def went(self, first: int, steps: int) -> None:
        """So many steps have been taken, the first of which has this number in its own training."""
        self.step = (first - 1 if self.step is None else self.step) + steps

    def _source(self, run: Run) -> Callable[[], Iterator[tuple[float, int, str, dict[str, Any]]]]:
        began = monotonic()
        told: dict[Any, int] = {}
        asking = False

        def ask() -> Iterator[tuple[float, int, str, dict[str, Any]]]:
            nonlocal asking
            if asking:  # by the question for the run's step
                return
            asking = True
            try:
                for put in (compiles, self._memory):
                    if put.due() and told.get(put) != (step := self._step(run)):
                        t, row = put.row()
                        if row:
                            told[put] = step
                            yield max(t, began), step, "all", row
            finally:
                asking = False

        return ask

    def _step(self, run: Run) -> int:
        """The number of the step last taken, or, where nobody counts them here, of the next row."""
        step = checkpoints.step()
        step = self.step if step is None else step
        return run.step if step is None else step


surroundings = Surroundings()
"""Of this process."""
