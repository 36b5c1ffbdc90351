"""The rows that a run gets from one `Model.fit`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import keras

from rankzero.plugin import Run, claim, report, warn_once
from rankzero_keras.arriving import kept, row_of
from rankzero_keras.clock import Clock
from rankzero_keras.integration import NAME
from rankzero_keras.measuring import applied
from rankzero_keras.measuring.programs import Programs, programs_of
from rankzero_keras.measuring.rates import iterations
from rankzero_keras.measuring.wanted import Wanted
from rankzero_keras.rows import Row, rows_of

PRECEDENCE = 20

QUANTITIES = ("optim/lr", "time/step", "throughput/samples")

NO_LIST = id(None)

TELLS_OF_FIRST = tuple(map(int, keras.__version__.split(".")[:2])) < (3, 11)
"""Of several batches in one execution, older releases of Keras tell callbacks the number of the first, newer ones of the last."""

trainings: dict[int, Training] = {}
"""Under way, by the `id` of the CallbackList that tells of it: found at every batch."""

counted: dict[int, int] = {}
"""In the same way, the last batch of the epoch under way, of fits of which nothing is looked at between epochs."""

EPOCHS_ONLY = "RankZeroCallback(batches=0) records epochs only"


class Training:
    """One fit: told of its batches and epochs.

    A step's number is how many batches have been trained on: by the optimizer's count, so that a model that was loaded goes on
    from where it was. What a batch shows is put down in the thread that trains, and made rows of in the writer's.

    Args:
        listed: the CallbackList that tells of it; None in a loop of the program's own.
        done: the steps of this run that the process has done before.
        batches: between two rows; 0 for epochs only.
        often: callbacks, or the program's own loop, may set the learning rate at any batch.
        wanted: what to measure of gradients and parameters; None for nothing.
        suffix: of its metrics, "@2" for the second model of a loop.

    Attributes:
        applied: the optimizers of its steps.
        before: the steps before it began.
        measured: whether it has been decided what is measured.
        samples: in a batch, 0 if unknown.
        batches: in an epoch, as far as is known: its last execution may be of fewer than the others.
        built: called when the first batch has built the model.
    """

    def __init__(
        self,
        run: Run,
        model: Any,
        listed: Any,
        clock: Clock,
        *,
        done: int,
        batches: int,
        wanted: Wanted | None,
        often: bool,
        suffix: str = "",
    ) -> None:
        self._key = id(listed)
        self._suffix = suffix
        self._rows = rows_of(run)
        self._model = model
        self._clock = clock
        self._every = batches
        applied.install()
        self.applied = applied.Applied() if listed is None else applied.applied_of(model)
        self._rates = applied.AppliedRates(model, self.applied, often=often)
        self._iterations = iterations(model)
        self.before = self._done = self._at_epoch = max(self._iterations, done)
        self._ahead = _executed_at_once(model) - 1 if TELLS_OF_FIRST and listed is not None else 0
        self._epoch = 0
        self._known: Counter[str] = Counter()
        self._ours = {quantity for quantity in QUANTITIES if claim(quantity, NAME, PRECEDENCE)}
        self._untold = set(self._ours)
        self._last: tuple[int, Any, bool] = (-1, None, False)
        self._rated = False
        self.samples = 0
        self.batches = math.inf
        self._programs: Programs | None = None
        self.measured = False
        self.built: Callable[[], None] | None = None
        self._light = not (batches or often or (wanted is not None and wanted.asked) or listed is None)
        if not batches:
            self._leave_out({"time/step", "throughput/samples"} | ({"grad/norm"} if self._light and wanted else set()))
        self.measure(None if self._light else wanted)
        clock.forget()
        if self._light:
            counted[self._key] = -1
        elif listed is not None:
            trainings[self._key] = self

    @property
    def done(self) -> int:
        """Steps so far."""
        return self._number(counted.get(self._key, -1)) if self._light else self._done

    @property
    def of_loop(self) -> Programs | None:
        """What measures the steps of a loop of the program's own that a CallbackList tells of."""
        return self._programs if self._programs is not None and self._programs.of_loop else None

    def measure(self, wanted: Wanted | None) -> None:
        """Measure from now on what is wanted, if there is a step already: a loop's is made in its first call."""
        if self._key != NO_LIST or self._model.train_function is not None:
            self.measured = True
            self._programs = None if wanted is None else self._measuring(self._model, wanted)

    def end(self) -> None:
        """The fit is over."""
        self.tell()
        self._listen(False)
        trainings.pop(self._key, None)
        self._done, self._light = self.done, False
        counted.pop(self._key, None)
        if self._programs is not None:
            self._programs.end()

    def epoch_began(self, epoch: int) -> None:
        """An epoch begins, counted from 0."""
        self._epoch = epoch
        self._at_epoch = self.done
        self._rates.soon()
        if self._light:
            counted[self._key] = -1
            self._rates.look()
            self._listen(True)

    def batch_began(self) -> None:
        """A batch begins, and callbacks have heard of it."""
        self._clock.begin()
        self._rates.look()
        if self._programs is not None:
            self._programs.choose(self.done + 1)
        self._listen(True)

    def batch_ended(self, batch: int, logs: Any) -> None:
        """A batch, counted from 0 within its epoch, was trained on."""
        clock = self._clock
        spent = clock.end()
        self._listen(False)
        before, step = self._done, self._number(batch)
        self._done = step
        sample = self._programs.done(self._suffix) if self._programs is not None else None
        if not self._every or step % self._every:
            if sample:
                self._rows.log(sample, step)
            return
        rates = self._rate()
        self._last = step, logs, bool(rates)
        steps = max(1, step - before)
        self._rows.put((clock.ended, step, self._made, kept(logs), rates, sample, spent / steps, clock.input / steps))

    def left(self) -> None:
        """The callbacks have heard of the batch's end."""
        self._describe_built()
        self._clock.loop()

    def _describe_built(self) -> None:
        if self.built is not None:
            self.built()
            self.built = None

    def _number(self, batch: int) -> int:
        """The step of a batch of this epoch; of none, counted as -1, the step before."""
        return self._at_epoch + (int(min(batch + self._ahead + 1, self.batches)) if batch >= 0 else 0)

    def epoch_ended(self, logs: Any) -> None:
        """An epoch is over, its validation included."""
        self._listen(False)
        self._describe_built()
        self._rates.soon()
        at_last, last, rated = self._last
        there = set(last or ()) if at_last == self.done else set()
        told = kept(logs)
        self._known = Counter({name: len(values) for name, values in _history(self._model).items()})
        self._known.update([*told])
        found = {name: value for name, value in told.items() if name not in there}
        found["progress/epoch"] = self._epoch
        if not rated or at_last != self.done:
            found |= self._rate()
        self._rows.put((monotonic(), self.done, _of_epoch, found))
        report("metrics", "recorded", NAME)
        self.tell()

    def epoch_told(self) -> None:
        """The callbacks have heard of an epoch's end: what they added to its metrics is in the model's history."""
        history = _history(self._model).items()
        found = {name: values[-1] for name, values in history if len(values) > self._known[name]}
        if found:
            self._rows.put((monotonic(), self.done, _of_epoch, found))

    def _made(
        self, logs: dict[str, Any], rates: dict[str, float], sample: dict[str, Any] | None, spent: float, waited: float
    ) -> Iterator[Row]:
        """The rows of a batch."""
        yield None, self._named(row_of(logs) | rates) | (sample or {})
        if spent > 0 and "time/step" in self._ours:
            times = {"time/step": spent} if self._key == NO_LIST else {"time/step": spent, "time/input": waited}
            if self.samples and "throughput/samples" in self._ours:
                times["throughput/samples"] = self.samples / spent
            yield "all", self._named(times)

    def _named(self, row: dict[str, Any]) -> dict[str, Any]:
        return {f"{name}{self._suffix}": value for name, value in row.items()} if self._suffix else row

    def _leave_out(self, quantities: set[str]) -> None:
        self._untold -= quantities
        for quantity in sorted(quantities):
            report(quantity, "off", NAME, EPOCHS_ONLY)

    def tell(self) -> None:
        """Say in the capture report what is being recorded, once it is."""
        begun = {"optim/lr"} if self._rated else set()
        if self.done - self.before > 1:
            begun |= {"time/step", "throughput/samples"} if self.samples else {"time/step"}
        for quantity in sorted(self._untold & begun):
            self._untold.discard(quantity)
            report(quantity, "recorded", NAME)

    def _rate(self) -> dict[str, float]:
        if "optim/lr" not in self._ours:
            return {}
        rates = self._rates.of_step(self._iterations + self.done - self.before)
        self._rated = self._rated or bool(rates)
        return rates

    def _listen(self, begins: bool) -> None:
        """A batch (where only epochs are told of: an epoch) is trained on from now, or until now."""
        if begins:
            applied.now.step = self.applied
        elif applied.now.step is self.applied:
            applied.now.step = None

    def _measuring(self, model: Any, wanted: Wanted) -> Programs | None:
        programs = programs_of(model, wanted)
        why = programs.why_not()
        if why:
            report("grad/norm", "off", NAME, why)
            if wanted.asked:
                warn_once(f"keras {why}", f"gradients are not recorded: {why}")
            return None
        programs.begin()
        return programs


def _of_epoch(found: dict[str, Any]) -> Iterator[Row]:
    """The row of an epoch."""
    yield None, row_of(found)


def _history(model: Any) -> dict[str, list[Any]]:
    """What `fit` returns: each metric of the epochs so far."""
    return getattr(getattr(model, "history", None), "history", None) or {}


def _executed_at_once(model: Any) -> int:
    """How many batches a model is trained on before callbacks are told."""
    return int(getattr(model, "steps_per_execution", 1) or 1)
