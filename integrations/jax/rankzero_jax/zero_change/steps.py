"""The steps of one run's loop on their way to the journal: put down by the thread that trains, made into rows by the writer's."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

from rankzero.plugin import Run, feed, guard, report
from rankzero_jax.arriving import Arriving, are_ready, on_host
from rankzero_jax.outputs import Training, forms, is_sample, steps_of, unpacked
from rankzero_jax.pace import Pace
from rankzero_jax.recording import Decoding
from rankzero_jax.runs import NAME, suffix
from rankzero_jax.surroundings import surroundings
from rankzero_jax.taps import Tap
from rankzero_jax.zero_change.waiting import Waiting

QUANTITIES = ("loss", "grad/norm", "optim/lr", "time/step", "throughput/samples")

UNSEEN = {
    "loss": "nothing that the step differentiates, outside of loops and vmap, has a single number for its value",
    "optim/lr": "it goes through none of optax's own optimizers",
    "throughput/samples": "the step's arguments do not tell how many samples there are in one",
}
"""Why a quantity has not come by the second step."""

UNCLEAR = "several values were differentiated before each step, and what it makes of their gradients cannot be seen"
"""Why there is no loss, where there are too many."""

FACTOR = "loss/factor"
"""In a step's numbers: what the loss that comes by itself is multiplied with. It is not recorded."""

Put = tuple[float, int, list[Any], float, bool]
Row = tuple[float, int, str | None, dict[str, Any]]


class Steps:
    """A source of rows, see `rankzero.plugin.feed`.

    Args:
        run: they belong to.
        first: the number of the first of them, of the training that is met first.

    Attributes:
        put: what a compiled program handed out: when (`time.monotonic()`), its outputs' form and arrays, the seconds that this
            process has spent in checkpoints so far, and whether samples among the arrays are not wanted.
        ours: the quantities that nobody else records.
    """

    def __init__(self, run: Run, first: dict[int, int]) -> None:
        self.put: collections.deque[Put] = collections.deque()
        self.ours: frozenset[str] = frozenset()
        self._waiting = Waiting()
        self._next = first
        self._speaks = run.rank == 0
        self._paces: collections.defaultdict[int, Pace] = collections.defaultdict(Pace)
        self._unreported = set(QUANTITIES)
        feed(run, self._rows)
        surroundings.of(run)

    def _rows(self) -> Iterator[Row]:
        while self.put:
            t, number, arrays, elsewhere, spared = self.put.popleft()
            with guard("recording a training step"):
                taps, ready = unpacked(number, arrays), are_ready(arrays)
                rows = [*self._of_the_job(t, taps, ready=ready, spared=spared)]
                if forms[number].trainings:
                    rows.append((t, *self._local(t, forms[number].trainings[0], elsewhere)))
                yield from (row for row in rows if row[3])

    def _of_the_job(self, t: float, taps: list[Tap], *, ready: bool, spared: bool) -> Iterator[Row]:
        for tap in taps:
            if tap.kind == "loss":
                self._waiting.put(tap.numbers, *tap.about)
        for tap in taps:
            if tap.kind == "step":
                training, _, kind = tap.about
                length = steps_of(tap)
                loss = None if "loss" in tap.names else self._waiting.take(training, kind)
                first = self._first(training, tap, length)
                self._next[training] = first + length
                self._report({*tap.names, *(() if loss is None else ("loss",))})
                if not self._speaks:
                    continue
                given = tap.numbers, {} if spared else tap.values, loss if length == 1 else None
                here = ready and (loss is None or are_ready([loss]))
                for index in range(length):
                    decode = _Ours(tap.names, self.ours, index, self._behind(training), spared=spared)
                    yield t, first + index, None, decode(_fetched(given)) if here else {"step": Arriving(given, decode)}
            elif tap.kind == "sample":
                training = tap.about[0]
                self._report({*tap.names})
                if self._speaks:
                    decode = _Ours(tap.names, self.ours, 0, self._behind(training), spared=False)
                    given = tap.numbers, tap.values, None
                    row = decode(_fetched(given)) if ready else {"step": Arriving(given, decode)}
                    yield t, self._next[training] - 1, None, row

    def _first(self, training: int, tap: Tap, length: int) -> int:
        """The number of a tap's first step; of a training that begins while another has begun, after those its optimizer counts."""
        known = self._next.get(training)
        if known is not None:
            return known
        return 1 if tap.step is None else int(on_host(tap.step).reshape(-1)[-1]) - length + 1

    def _behind(self, training: int) -> str:
        """What stands behind the keys of a training: nothing, if it is the run's first."""
        return suffix(list(self._next).index(training) + 1)

    def _local(self, t: float, training: Training, elsewhere: float) -> tuple[int, str, dict[str, Any]]:
        """This process's own row: where its time went."""
        found = self._paces[training.number].row(t, elsewhere, training.steps, training.samples)
        behind = self._behind(training.number)
        row = {f"{name}{behind}": value for name, value in found.items() if name in self.ours}
        self._report(set(found))
        if "time/step" in found:
            for quantity in sorted(self._unreported & UNSEEN.keys() & self.ours):
                self._unreported.discard(quantity)
                unclear = quantity == "loss" and self._waiting.unclear
                report(quantity, "off", NAME, UNCLEAR if unclear else UNSEEN[quantity])
        return self._next[training.number] - 1, "all", row

    def _report(self, names: set[str]) -> None:
        if self._unreported:
            for quantity in sorted(self._unreported & names & self.ours):
                self._unreported.discard(quantity)
                report(quantity, "recorded", NAME)


class _Ours(Decoding):
    """From a step's arrays, and the loss that came by itself, to its row, without what others record and samples not wanted."""

    __slots__ = ("_ours", "_spared")

    def __init__(self, names: tuple[str, ...], ours: frozenset[str], index: int, behind: str, *, spared: bool) -> None:
        super().__init__(names, index, behind)
        self._ours = ours
        self._spared = spared

    def __call__(self, found: tuple[Any, ...]) -> dict[str, Any]:
        """The row."""
        numbers, counted, loss = found
        row = super().__call__((numbers, counted))
        factor = row.pop(f"{FACTOR}{self._behind}", 1.0)
        if loss is not None:
            row.setdefault(f"loss{self._behind}", float(loss.reshape(-1)[0]) * factor)
        for name in set(QUANTITIES) - self._ours:
            row.pop(f"{name}{self._behind}", None)
        return {name: value for name, value in row.items() if not is_sample(name)} if self._spared else row


def _fetched(given: tuple[Any, dict[str, Any], Any]) -> tuple[Any, ...]:
    numbers, counted, loss = given
    found = {name: on_host(array) for name, array in counted.items()} if counted else counted
    return on_host(numbers), found, None if loss is None else on_host(loss)
