"""A second form of a model's training step, which measures; for some batches it takes the place of the model's own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import keras
import numpy as np

from rankzero.plugin import claim, report, warn_once
from rankzero_keras.arriving import Arriving
from rankzero_keras.integration import NAME
from rankzero_keras.measuring.applied import behind
from rankzero_keras.measuring.rates import optimizer_of
from rankzero_keras.measuring.statistics import Sample, joined, unpacked
from rankzero_keras.measuring.taps import asked, install, place, spent, take
from rankzero_keras.measuring.wanted import Wanted

SHORT = "a training this short would have waited for another compilation of its step; ask for it, as with RANKZERO_LOG_EVERY=50"

UNSEEN = "the loop's step is compiled, or calls no optimizer of Keras"

WITHIN = "the step applies an optimizer within a condition, a loop or a compiled function of its own, which hands nothing out"

KEY = "rankzero sample"
SELDOM = 50
"""Steps between two samples in a compiled step, where nobody can tell what one costs."""

RAREST = 1 << 12

SHARE = 0.002
"""What samples may cost of the time training takes, as far as that is known."""

COMPILING = 0.01
"""What compiling the second form may cost of the time training has taken, where nobody asked for it."""


LEAST = 2.0
"""Seconds that a compilation is taken to last at least: the model's own may have happened before anybody looked."""

PLACE = "rankzero_programs"


def programs_of(model: Any, wanted: Wanted) -> Programs:
    """Those of a model's training function, for as long as it has this one: the second form is compiled once, not in every fit."""
    own = model.train_function
    found: Programs | None = getattr(own, PLACE, None)
    if found is None or found.wanted != wanted:
        found = Programs(model, wanted)
        if own is not None:
            setattr(own, PLACE, found)
    return found


class Programs:
    """Chooses the form of each batch's step.

    The model's own step is compiled and run as it is without us. Where it is compiled (on TensorFlow and JAX), the second form is
    compiled when it is first needed; what it measures leaves it as one more of its outputs. On torch the step runs as Python and
    is measured as it runs.
    """

    def __init__(self, model: Any, wanted: Wanted) -> None:
        install()
        self._model = model
        self.wanted = wanted
        self._compiled = keras.backend.backend() != "torch"
        self._free = getattr(model, "run_eagerly", False) is True  # of compilations
        self._own: Any = None
        self._second: Any = None
        self._names: tuple[list[str], list[str]] = ([], [])
        self._due = self._waits = self._started = self._seen = False
        self._began = self._before = self._first = 0.0
        self._distance = wanted.every or (SELDOM if self._compiled else 1)
        self._mark = 0.0
        self.found: Any = None

    @property
    def of_loop(self) -> bool:
        """Whether the step is not the model's own but that of a loop which calls the optimizer itself."""
        return self._own is None

    def steps(self, optimizer: Any) -> bool:
        """Whether it is this optimizer of a loop that is measured in the batch under way: the model's, or the first."""
        return self.found is None and getattr(self._model, "optimizer", None) in (None, optimizer)

    @property
    def _accumulated(self) -> int | None:
        return getattr(optimizer_of(self._model), "gradient_accumulation_steps", None)

    def why_not(self) -> str:
        """Why this model cannot be measured; empty if it can."""
        strategy = getattr(self._model, "distribute_strategy", None)
        if type(strategy).__name__ == "MultiWorkerMirroredStrategy":
            return "TensorFlow would call a collective for it; use MirroredStrategy or one process to see gradients"
        if self._accumulated and getattr(strategy, "num_replicas_in_sync", 1) > 1:
            return "gradients that are accumulated on several replicas are not to be seen"
        if not self._compiled and getattr(self._model, "jit_compile", False) is True:
            return "torch.compile would compile the step again for it"
        return ""

    def begin(self) -> None:
        """A fit begins: make the second form, which is not traced or compiled yet."""
        self._began = perf_counter()
        if self._own is None:
            self._own = self._model.train_function
            self._second = None if self._own is None else self._made(self._own)

    def end(self) -> None:
        """The fit is over, perhaps in the middle of a batch."""
        self._put_back()
        self._before += perf_counter() - self._began
        self._mark = 0.0
        if self._second is not None and not self._started:
            report("grad/norm", "off", NAME, SHORT)
        elif self.of_loop and self._started and not self._seen:
            self._leave_out(UNSEEN)

    def _leave_out(self, why: str) -> None:
        report("grad/norm", "off", NAME, why)
        if self.wanted.asked:
            warn_once(f"keras {why}", f"gradients are not recorded: {why}")

    def _put_back(self) -> None:
        if self._second is not None and self._model.train_function is self._second:
            self._model.train_function = self._own

    def choose(self, step: int) -> None:
        """The batch of this step begins; its form is put in place."""
        if self.of_loop:
            self.look(step)
            return
        if self._second is None or not (self._waits or (step - 1) % self._distance == 0):
            return
        if self._model.train_function is self._own and self._is_due(step):
            self._due = True
            self._model.train_function = self._second

    def look(self, step: int) -> None:
        """A step of a program's own loop begins, of which there is one form only."""
        self._compiled = False
        self._due = self._is_due(step)

    def measured(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A step as it is to be called now, measured if that is due."""
        return self._made(step) if self._due else step

    def done(self, suffix: str = "") -> dict[str, Any] | None:
        """The batch is over, and the model's own step is back: what was measured, for its row, its names with a suffix."""
        if not self._first:
            self._first = perf_counter() - self._began
        if not self._due:
            return None
        self._due = False
        self._put_back()
        self._seen = self._seen or self.found is not None
        found, self.found = self.found, None
        if found is None or not claim("grad/norm", NAME, 100 if self.wanted.asked else 20):
            return None
        names = tuple([name + suffix for name in part] for part in self._names)
        report("grad/norm", "recorded", NAME)
        return {"sample": Decoded(found, names)}

    def _is_due(self, step: int) -> bool:
        now = perf_counter()
        if self._compiled and not (self._free or self.wanted.asked or self._started):
            trained = self._before + now - self._began
            if not self._first or COMPILING * trained < max(self._first, LEAST):
                return False
        self._waits = self._waits or (step - 1) % self._distance == 0
        if not self._waits or (self._accumulated and step % self._accumulated):
            return False
        self._waits, self._started = False, True
        return True

    def _made(self, own: Callable[..., Any]) -> Callable[..., Any]:
        """The second form."""
        step = self._traced(own) if self._compiled else own
        is_jax = keras.backend.backend() == "jax"

        def measuring(*args: Any, **kwargs: Any) -> Any:
            asked.wanted = self.wanted
            take()  # what a step that was never finished has left
            try:
                out = step(*args, **kwargs)
            finally:
                asked.wanted = None
            if self._compiled:
                logs = out[0] if is_jax else out
                self.found = logs.pop(KEY, None) if isinstance(logs, dict) else None
            else:
                began = perf_counter()
                self.found = self._packed(take())
                self._spent(spent() + perf_counter() - began)
            return out

        return measuring

    def _traced(self, own: Callable[..., Any]) -> Callable[..., Any]:
        """The model's training function, made again around a step that has one more output."""
        model = self._model
        step = model.train_step
        finish = self._with_sample
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            finish = tf.autograph.experimental.do_not_convert(finish)

        def train_step(*args: Any) -> Any:
            return finish(step(*args))

        with _has(model, train_step):
            model.make_train_function(force=True)
            made, model.train_function = model.train_function, own

        def traced(*args: Any, **kwargs: Any) -> Any:
            with _has(model, train_step):  # older releases of Keras look for it when they trace
                return made(*args, **kwargs)

        return traced

    def _with_sample(self, out: Any) -> Any:
        """What a step returns, and its sample with the logs; called as the step is traced."""
        row = self._packed(take())
        if row is None:
            return out
        if isinstance(out, tuple):
            return ({**out[0], KEY: row}, *out[1:]) if isinstance(out[0], dict) else out
        return {**out, KEY: row} if isinstance(out, dict) else out

    def _packed(self, samples: list[tuple[Any, Sample]]) -> Any:
        here = place()
        at_hand = [(behind(self._model, optimizer), sample) for optimizer, sample in samples if sample.place == here]
        if len(at_hand) < len(samples):
            self._leave_out(WITHIN)
        whole = joined(at_hand)
        if not whole.numbers:
            return None
        numbers, histograms, row = whole.packed()
        self._names = numbers, histograms
        return row

    def _spent(self, seconds: float) -> None:
        """A sample on torch cost so much; the next ones come as rarely as that calls for."""
        now = perf_counter()
        if self.wanted.every is None and self._mark:
            typical = max((now - self._mark) / self._distance - seconds, 1e-6)
            self._distance = min(RAREST, 1 << max(0, int(seconds / (SHARE * typical))).bit_length())
        self._mark = now


@contextlib.contextmanager
def _has(model: Any, train_step: Callable[..., Any]) -> Iterator[None]:
    """A model with another step, for a while."""
    own = model.__dict__.get("train_step")
    model.__dict__["train_step"] = train_step
    try:
        yield
    finally:
        if own is None:
            del model.__dict__["train_step"]
        else:
            model.__dict__["train_step"] = own


class Decoded(Arriving):
    """A packed row on its way to the host."""

    __slots__ = ("_names",)

    def __init__(self, row: Any, names: tuple[list[str], ...]) -> None:
        super().__init__({"row": row})
        self._names = names

    def value(self) -> dict[str, Any]:
        """The metrics by name."""
        found = super().value().get("row")
        numbers, histograms = self._names
        return {} if found is None else unpacked(numbers, histograms, np.atleast_1d(found))
