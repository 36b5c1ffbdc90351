"""The run that is recorded to, and at which steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from rankzero.plugin import Run, current_run, holding, read_settings, training_run
from rankzero_jax.identity import identity

NAME = "jax"


def active() -> Run | None:
    """The run of this process; None without one, or if it is disabled."""
    run = current_run()
    return None if run is None or run.disabled else run


def active_or_new() -> Run | None:
    """As `active`; below `rankzero run` a new one if need be."""
    run = current_run() or _training_run()
    return None if run is None or run.disabled else run


def of_the_loop() -> Run | None:
    """The run that a loop which never asked for one is recorded to; None while another integration drives the loop."""
    run = _training_run()
    return None if run is None or run.disabled else run


def _training_run() -> Run | None:
    """A run that is made now goes on with that of the checkpoint that was read before, if the user has named none."""
    continued = identity.restored
    if continued and (current_run() is not None or read_settings().run_id):
        continued = ""
    if not continued:
        return training_run(NAME)
    with holding():  # the optimizer's count may say that nothing is gone on with
        run = _met.continues = training_run(NAME, run_id=continued)
    return run


def begins_anew(run: Run) -> None:
    """A new optimizer takes its first step: the checkpoint that was read is where it starts from, not a run to go on with."""
    if run is _met.continues:
        run.adopt("")


def suffix(ordinal: int) -> str:
    """What stands behind the keys of a run's second, third, ... training."""
    return f"@{ordinal}" if ordinal > 1 else ""


class _Met:
    def __init__(self) -> None:
        self.run: Run | None = None
        self.numbers: list[int] = []
        self.continues: Run | None = None


_met = _Met()


def suffix_in(run: Run, number: int) -> str:
    """What stands behind the keys of a thing of which a run may have several, known by its number."""
    if run is not _met.run:
        _met.run, _met.numbers = run, []
    if number not in _met.numbers:
        _met.numbers.append(number)
    return suffix(_met.numbers.index(number) + 1)


def steps_before(counted: Any, length: int) -> int:
    """How many steps an optimizer had done before these, by its own count after them, which is waited for."""
    return int(np.asarray(counted).reshape(-1)[-1]) - length


class Numbering:
    """The numbers of a run's steps.

    They go on from the optimizer's own count, so that steps done again after a restart from an older checkpoint get the same
    numbers again; without one, from where the run is.

    Args:
        first: the number of a new run's first step: 0 where rows logged by hand stand beside, which count from 0; 1 where a
            step's number is how many have been done.
    """

    def __init__(self, run: Run, *, first: int) -> None:
        self._run = run
        self._first = first
        self._next: int | None = None

    @property
    def known(self) -> bool:
        """Whether the count is not needed any more."""
        return self._next is not None

    def peek(self) -> int:
        """The number that the next step has, as far as is known."""
        return max(self._run.step, self._first) if self._next is None else self._next

    def take(self, counted: Any = None, length: int = 1) -> int:
        """The number of the next step; those of `length` steps follow one another.

        Args:
            counted: the optimizer's count after them, the first time waited for: once in a run, after its first compilation.
            length: how many steps there are.
        """
        if self._next is None:
            done = None if counted is None else steps_before(counted, length)
            self._next = max(self._run.step, self._first) if done is None else done + self._first
        number, self._next = self._next, self._next + length
        return number
