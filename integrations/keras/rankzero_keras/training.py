"""The rows that a run gets from one `Model.fit`."""

from __future__ import annotations

from typing import Any

from rankzero.plugin import Run, claim, report, warn_once
from rankzero_keras.arriving import row_of
from rankzero_keras.clock import Clock
from rankzero_keras.integration import NAME
from rankzero_keras.programs import Programs
from rankzero_keras.rates import Rates, iterations
from rankzero_keras.wanted import Wanted

PRECEDENCE = 20


class Training:
    """One fit: told of its batches and epochs.

    A step's number is how many batches have been trained on: by the optimizer's count, so that a model that was loaded goes on
    from where it was.

    Args:
        done: the steps of this run that the process has done before.
        batches: between two rows; 0 for epochs only.
        often: callbacks may set the learning rate at any batch.
        wanted: what to measure of gradients and parameters; None for nothing.

    Attributes:
        done: steps so far.
        samples: in a batch, 0 if unknown.
    """

    def __init__(
        self, run: Run, model: Any, clock: Clock, *, done: int, batches: int, wanted: Wanted | None, often: bool
    ) -> None:
        self._run = run
        self._model = model
        self._clock = clock
        self._every = batches
        self._rates = Rates(model)
        self._rates.often = often
        counted = iterations(model)
        self._before = counted
        self._first = self.done = max(counted, done)
        self._epoch = 0
        self._at_epoch = self.done
        self._ours: set[str] = set()
        self._last: tuple[int, set[str]] = (-1, set())
        self.samples = 0
        self._programs = None if wanted is None else self._measuring(model, wanted)
        clock.forget()

    def end(self) -> None:
        """The fit is over."""
        if self._programs is not None:
            self._programs.end()

    def epoch_began(self, epoch: int) -> None:
        """An epoch begins, counted from 0."""
        self._epoch = epoch
        self._at_epoch = self.done
        self._rates.soon()

    def batch_began(self) -> None:
        """A batch begins, and callbacks have heard of it."""
        self._clock.begin()
        self._rates.look()
        if self._programs is not None:
            self._programs.choose(self.done + 1)

    def batch_ended(self, batch: int, logs: Any) -> None:
        """A batch, counted from 0 within its epoch, was trained on."""
        spent = self._clock.end()
        step = self.done = self._at_epoch + batch + 1
        sample = self._programs.done() if self._programs is not None else {}
        if not self._every or step % self._every:
            if sample:
                self._run.log(sample, step=step)
            return
        row = row_of(logs) | sample
        self._put_rate(row)
        self._last = step, {*(logs or ()), "optim/lr"} if "optim/lr" in row else {*(logs or ())}
        self._run.log(row, step=step)
        if spent > 0 and self.may("time/step"):
            times = {"time/step": spent, "time/input": self._clock.input}
            if self.samples and self.may("throughput/samples"):
                times["throughput/samples"] = self.samples / spent
            self._run.log(times, step=step, ranks="all")

    def epoch_ended(self, logs: Any) -> None:
        """An epoch is over, its validation included."""
        self._rates.soon()
        there = self._last[1] if self._last[0] == self.done else set()
        row = row_of({name: value for name, value in (logs or {}).items() if name not in there})
        row["progress/epoch"] = self._epoch
        if "optim/lr" not in there:
            self._put_rate(row)
        self._run.log(row, step=self.done)
        report("metrics", "recorded", NAME)

    def may(self, quantity: str) -> bool:
        """Whether this quantity is ours to record; says so in the capture report once."""
        if quantity in self._ours:
            return True
        if not claim(quantity, NAME, PRECEDENCE):
            return False
        self._ours.add(quantity)
        report(quantity, "recorded", NAME)
        return True

    def _measuring(self, model: Any, wanted: Wanted) -> Programs | None:
        programs = Programs(model, wanted)
        why = programs.why_not()
        if why:
            report("grad/norm", "off", NAME, why)
            if wanted.asked:
                warn_once(f"keras {why}", f"gradients are not recorded: {why}")
            return None
        programs.begin()
        return programs

    def _put_rate(self, row: dict[str, Any]) -> None:
        rate = self._rates.of_step(self._before + self.done - self._first) if self.may("optim/lr") else None
        if rate is not None:
            row["optim/lr"] = rate
