"""The steps of one run's loop on their way to the journal: put down by the thread that trains, made into rows by the writer's."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

from rankzero.plugin import Run, feed, guard, report
from rankzero_jax.arriving import Arriving, are_ready, on_host
from rankzero_jax.compiles import compiles
from rankzero_jax.memory import Memory
from rankzero_jax.outputs import forms, steps_of, unpacked
from rankzero_jax.recording import Decoding
from rankzero_jax.runs import NAME
from rankzero_jax.taps import Tap

QUANTITIES = ("loss", "grad/norm", "optim/lr", "time/step")

Put = tuple[float, int, list[Any], Any, float]
Row = tuple[float, int, str | None, dict[str, Any]]


class Steps:
    """A source of rows, see `rankzero.plugin.feed`.

    Args:
        run: they belong to.
        first: the number of the first of them.

    Attributes:
        put: what a compiled program handed out: when (`time.monotonic()`), its outputs' form and arrays, the loss if one was
            seen outside of programs, and the seconds that this process has spent in checkpoints so far.
        ours: the quantities that nobody else records.
    """

    def __init__(self, run: Run, first: int, memory: Memory) -> None:
        self.put: collections.deque[Put] = collections.deque()
        self.ours: frozenset[str] = frozenset()
        self._loss: Any = None
        self._next = first
        self._speaks = run.rank == 0
        self._mark = 0.0
        self._elsewhere = 0.0
        self._memory = memory
        self._unreported = set(QUANTITIES)
        feed(run, self._rows)

    def _rows(self) -> Iterator[Row]:
        while self.put:
            with guard("recording a training step"):
                yield from list(self._rows_of(*self.put.popleft()))

    def _rows_of(self, t: float, number: int, arrays: list[Any], loss: Any, elsewhere: float) -> Iterator[Row]:
        length = forms[number].steps
        step, self._next = self._next, self._next + length
        if self._speaks:
            self._loss = self._loss if loss is None else loss
            yield from self._of_the_job(t, step, unpacked(number, arrays), ready=are_ready(arrays))
        if length:
            row = self._local(t, length, elsewhere)
            if row:
                yield t, step + length - 1, "all", row

    def _of_the_job(self, t: float, step: int, taps: list[Tap], *, ready: bool) -> Iterator[Row]:
        for tap in taps:
            if tap.kind == "loss":
                self._loss = tap.numbers
        for tap in taps:
            if tap.kind == "step":
                loss, self._loss = self._loss, None
                self._report({*tap.names, *(() if loss is None else ("loss",))})
                length = steps_of(tap)
                given = tap.numbers, tap.values, loss if length == 1 else None
                ready = ready and (loss is None or are_ready([loss]))
                for index in range(length):
                    decode = _Ours(tap.names, self.ours, index)
                    row = decode(_fetched(given)) if ready else {"step": Arriving(given, decode)}
                    if row:
                        yield t, step + index, None, row
                step += length

    def _local(self, t: float, length: int, elsewhere: float) -> dict[str, Any]:
        """This process's own row: where its time went."""
        row: dict[str, Any] = {}
        if self._mark and "time/step" in self.ours:
            row["time/step"] = max(0.0, t - self._mark - (elsewhere - self._elsewhere)) / length
            self._report({"time/step"})
        self._mark, self._elsewhere = t, elsewhere
        compiles.put(row)
        self._memory.put(row)
        return row

    def _report(self, names: set[str]) -> None:
        if self._unreported:
            for quantity in self._unreported & names & self.ours:
                self._unreported.discard(quantity)
                report(quantity, "recorded", NAME)


class _Ours(Decoding):
    """From a step's arrays, and the loss that came by itself, to its row, without what others record."""

    __slots__ = ("_ours",)

    def __init__(self, names: tuple[str, ...], ours: frozenset[str], index: int) -> None:
        super().__init__(names, index)
        self._ours = ours

    def __call__(self, found: tuple[Any, ...]) -> dict[str, Any]:
        """The row."""
        numbers, counted, loss = found
        row = super().__call__((numbers, counted))
        if loss is not None:
            row.setdefault("loss", float(loss.reshape(-1)[0]))
        return {name: value for name, value in row.items() if name in self._ours or name not in QUANTITIES}


def _fetched(given: tuple[Any, dict[str, Any], Any]) -> tuple[Any, ...]:
    numbers, counted, loss = given
    found = {name: on_host(array) for name, array in counted.items()} if counted else counted
    return on_host(numbers), found, None if loss is None else on_host(loss)
