"""What is known of one model: whether it is recorded, to which run, and where in its work it is."""

from __future__ import annotations

import weakref
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras

from rankzero.plugin import (
    Run,
    claim,
    current_run,
    open_run,
    opened_here,
    read_settings,
    release,
    report,
    started_by_run,
    training_failed,
    training_run,
)
from rankzero_keras import calls, describing, identity
from rankzero_keras.arriving import kept, row_of
from rankzero_keras.callback import RankZeroCallback
from rankzero_keras.clock import Clock
from rankzero_keras.identity import Origin
from rankzero_keras.integration import NAME
from rankzero_keras.measuring.applied import steps_itself, suffix
from rankzero_keras.measuring.rates import batchwise, optimizer_of
from rankzero_keras.measuring.wanted import Wanted, wanted
from rankzero_keras.rows import rows_of
from rankzero_keras.training import PRECEDENCE, Training

OWN = ("loop", "loss", "optim/lr", "grad/norm", "time/step", "throughput/samples", "time/eval", "time/checkpoint")
"""Claimed for as long as a model works: "loop" for what integrations of its backend would see of it."""

_loops: weakref.WeakKeyDictionary[Run, int] = weakref.WeakKeyDictionary()
"""How many models of loops of the program's own a run has."""

ELSEWHERE = "a model was evaluated that another run is for, or none yet: to record it, call rankzero.init before"

SHORT = {"evaluation": "eval", "checkpoint": "checkpoint"}


class Recording:
    """One model, over all that it is asked to do.

    Attributes:
        training: the fit under way, if any.
        clock: of its batches.
        watched: what `Run.watch` asked for, and of which run.
        origin: the run that a checkpoint names from which the model was loaded.
        alone: of the work under way only a CallbackList has told: it is a loop of the program's own, or the very call of `fit` in
            whose arguments the first callback was made.
    """

    last: weakref.ref[Any] | None = None
    """The last one that had a run: another model is another training."""

    def __init__(self, model: Any) -> None:
        self._model = weakref.ref(model)
        self._options: RankZeroCallback | None = None
        self._active = False
        self._run: Run | None = None
        self._done = 0
        self.clock = Clock()
        self._phase: AbstractContextManager[None] | None = None
        self._phase_name = ""
        self._callbacks: list[Any] = []
        self.training: Training | None = None
        self.alone = False
        self.origin: Origin | None = None
        self._loop: Training | None = None
        self._saved = ""
        self._own_optimizer: dict[str, Any] = {}
        self._trained = False
        self.watched: tuple[Run, Wanted] | None = None

    # -- fit, evaluate and predict as a whole ---------------------------------------------------------------------------

    def begin(self, callbacks: Any) -> None:
        """The model sets to work."""
        self.listen_for(callbacks)

    def listen_for(self, callbacks: Any) -> None:
        """Look for a callback of ours among those given."""
        given = getattr(callbacks, "callbacks", callbacks)
        listed = list(given) if isinstance(given, list | tuple) else [given]
        if callbacks is not None:
            self._callbacks = listed
        options = next((callback for callback in listed if isinstance(callback, RankZeroCallback)), None)
        if options is not None:
            self._options = options
        self._active = self._options is not None or self.watched is not None or started_by_run()
        if self._active:
            claim("loop", NAME, PRECEDENCE)

    def failed(self, error: BaseException) -> None:
        """What the model did ended with an error."""
        if self._active and self._run is not None:
            training_failed(self._run, error)

    def end(self) -> None:
        """The model is done with it."""
        self.end_phase()
        self._end_training()
        self._options = None
        self._callbacks = []
        for quantity in OWN:
            release(quantity, NAME)

    # -- what happens in it ---------------------------------------------------------------------------------------------

    def train_began(self, callbacks: Any) -> None:
        """A fit begins; its callbacks have heard of it."""
        self.listen_for(callbacks)
        model = self._model()
        if model is None:
            return
        found = calls.fit_under_way(model)
        if self.origin is None:
            self.origin = identity.of_callbacks(self._callbacks)
        backed_up = getattr(model, "_initial_epoch", None)  # by BackupAndRestore, perhaps in the first epoch: 0
        run = self._of_now(goes_on=backed_up is not None or bool(found.get("initial_epoch")))
        if run is None:
            return
        self._trained = True
        if self.origin is not None and self.origin.run == run.id:
            self._done = max(self._done, self.origin.step)
        batches = 1 if self._options is None else self._options.batches
        often, asked = batchwise(self._callbacks), self._wanted(run)
        done, clock = self._done, self.clock
        if self._loop is not None:
            self._loop.end()
            self._loop = None
        self.training = Training(run, model, callbacks, clock, done=done, batches=batches, wanted=asked, often=often)
        self.training.samples = calls.batch_size(found)
        self.training.batches = calls.batches(found)
        if run.rank == 0:
            self._describe(run, model, callbacks, calls.arguments(found))
            if not model.variables or steps_itself(model):
                self.training.built = self._describe_built

    def train_ended(self) -> None:
        """A fit is over."""
        self._note_best()
        self._end_training()

    def _note_best(self) -> None:
        """Put into the summary what a callback that keeps the best saved last, and its score."""
        run = self.existing()
        keepers = [one for one in self._callbacks if getattr(one, "save_best_only", False)]
        if run is None or run.rank != 0 or len(keepers) != 1 or not self._saved:
            return
        best = getattr(keepers[0], "best", None)
        score = {} if best is None else {"checkpoint/best_score": float(best)}
        run.summary.update({"checkpoint/best": self._saved, **score})

    def own_batch_began(self) -> bool:
        """A loop of the program's own has a batch trained on; false if it is not to be recorded."""
        model = self._model()
        if model is None or self.training is not None:
            return False
        if self._loop is None or self.existing() is None:
            self.listen_for(None)
            run = self._of_now()
            if run is None:
                return False
            number = _loops[run] = _loops.get(run, 0) + 1
            self._loop = Training(
                run, model, None, Clock(), done=self._done, batches=1, wanted=None, often=True,
                suffix=f"@{number}" if number > 1 else "",
            )  # fmt: skip
            self._trained = True
        claim("loop", NAME, PRECEDENCE)
        if not self._loop.measured and self._run is not None:
            self._loop.measure(self._wanted(self._run))
        self._loop.batch_began()
        return True

    def own_batch_ended(self, x: Any, logs: Any) -> None:
        """It was trained on."""
        loop, model, run = self._loop, self._model(), self.existing()
        if loop is None or model is None or run is None:
            return
        first = not loop.samples
        if first:
            loop.samples = int((getattr(x, "shape", None) or (1,))[0] or 1)
            report("metrics", "recorded", NAME)
        loop.batch_ended(loop.done - loop.before, logs)
        self._done = loop.done
        loop.left()
        if first and run.rank == 0:
            self._describe(run, model, None, {})
        loop.tell()

    def epoch_ended(self, logs: Any) -> None:
        """An epoch is over."""
        if self.training is not None:
            self.training.epoch_ended(logs)

    def epoch_told(self) -> None:
        """The callbacks have heard that an epoch is over."""
        if self.training is not None:
            self.training.epoch_told()

    def test_began(self, callbacks: Any) -> None:
        """An evaluation begins, in a fit or by itself."""
        self.listen_for(callbacks)
        self.begin_phase("evaluation")

    def test_ended(self, logs: Any) -> None:
        """An evaluation is over; of one in a fit, the metrics are among the epoch's."""
        self.end_phase()
        run = self._run
        if self.training is None and run is not None and run.state == "running":
            found = row_of({f"test_{name}": value for name, value in kept(logs).items()})
            before = self.origin.step if self.origin is not None and self.origin.run == run.id else 0
            rows_of(run).log(found, max(self._done, before))
            report("metrics", "recorded", NAME)

    @property
    def done(self) -> int:
        """The steps so far."""
        return self._done if self.training is None else self.training.done

    def existing(self) -> Run | None:
        """The run that there is, as long as it lasts."""
        run = self._run
        return run if run is not None and run.state == "running" and not run.disabled else None

    def saved(self, filepath: Any) -> None:
        """A checkpoint of the model was saved there."""
        run, place = self.existing(), Path(str(filepath)).absolute()
        if run is None or run.rank != 0:
            return
        self._saved = str(place)
        run.summary.update({"checkpoint/last": self._saved})
        run.event("checkpoint", self._saved, step=self.done)
        for callback in self._callbacks:
            told = getattr(callback, "saved", None)
            if callable(told) and isinstance(callback, keras.callbacks.ModelCheckpoint):
                told(place)

    def begin_phase(self, phase: str) -> bool:
        """Training is interrupted; false if it is already, or nothing is recorded."""
        run = None if self._is_elsewhere() else self._of_now()
        if run is None or self._phase is not None:
            return False
        self._phase, self._phase_name = run.phase(phase), phase
        self._phase.__enter__()
        self.clock.leave()
        return True

    def end_phase(self) -> None:
        """Training goes on, if it was interrupted."""
        opened, self._phase = self._phase, None
        if opened is None or self._run is None:
            return
        opened.__exit__(None, None, None)
        seconds = self.clock.come_back()
        quantity = f"time/{SHORT[self._phase_name]}"
        if claim(quantity, NAME, PRECEDENCE):
            rows_of(self._run).log({quantity: seconds}, self.done, "all")
            report(quantity, "recorded", NAME)

    def _end_training(self) -> None:
        training, self.training = self.training, None
        if training is not None:
            self._done = training.done
            training.end()

    def _wanted(self, run: Run) -> Wanted | None:
        options, settings = self._options, run.settings
        if self.watched is not None and self.watched[0] is run:
            return self.watched[1]
        if options is not None and (options.log_what is not None or options.histograms or options.log_freq):
            return wanted(options.log_what, options.log_freq, histograms=options.histograms)
        if settings.gradients == "off":
            report("grad/norm", "off", NAME, "RANKZERO_GRADIENTS=off")
            return None
        log = "gradients" if settings.gradients in {"params", "hist"} else None
        return wanted(log, settings.log_every or None, histograms=settings.gradients == "hist")

    # -- the run --------------------------------------------------------------------------------------------------------

    def _of_now(self, *, goes_on: bool | None = None) -> Run | None:
        """The run that this model records to now; made if need be. None where nothing is recorded.

        Args:
            goes_on: of a fit, whether it goes on where a checkpoint was saved; None where no fit begins.
        """
        if not self._active:
            return None
        run = self.existing() or self._made(goes_on=goes_on)
        if run is None or run.disabled:
            self._active = False
            return None
        self._run = run
        if self._options is not None:
            self._options.run = run
        Recording.last = weakref.ref(self)
        return run

    def _made(self, *, goes_on: bool | None) -> Run | None:
        run = current_run()
        origin = self.origin.run if self.origin is not None else ""
        if run is not None and opened_here(run) and (goes_on is None or origin == run.id):
            return run
        again = self._run.id if self._run is not None and self._trained else ""
        if goes_on and self.origin is not None and self.origin.project == self._project():
            again = origin
        if self._options is not None:
            if run is not None and not opened_here(run):
                return run
            return open_run(NAME, id=again, **self._options.given)
        before = None if Recording.last is None else Recording.last()
        beside = goes_on is None and run in _loops  # another model of the same loop
        fresh = (Recording.last is not None and before is not self and not beside) or run is None
        return training_run(NAME, run_id=again, fresh=fresh)

    def _is_elsewhere(self) -> bool:
        """Whether the run that an integration made last is that of another model's training, and this model has none open."""
        run = current_run()
        if not self._active or self.existing() is not None or run is None or not opened_here(run):
            return False
        own = {self._run.id} if self._run is not None and self._trained else set()
        if self.origin is not None:
            own.add(self.origin.run)
        if run.id in own or not (own or self._is_another(run)):
            return False
        report("evaluation", "seen", NAME, ELSEWHERE)
        return True

    def _is_another(self, run: Run) -> bool:
        """Of a model neither trained nor loaded: whether another one was recorded last, and nothing brings it to that one's run.

        A callback does, or layers that both have (a student's, trained by its teacher).
        """
        before = None if Recording.last is None else Recording.last()
        told = self._options is not None and self._options.run is run
        if not isinstance(before, Recording) or before is self or told:
            return False
        return before.held().isdisjoint(self.held())

    def held(self) -> set[int]:
        """By id, what the model consists of."""
        return set(map(id, getattr(self._model(), "variables", ())))

    def _project(self) -> str:
        given = {} if self._options is None else self._options.given
        return str(given.get("project") or read_settings().project)

    def _describe_built(self) -> None:
        """The first batch has built the model."""
        run, model = self.existing(), self._model()
        if run is None or model is None or self.training is None:
            return
        facts = {"model": describing.model_facts(model)}
        if steps_itself(model):
            facts |= self._optimizers(model, self.training)
        run.config.update(facts, source=NAME)

    def _optimizers(self, model: Any, training: Training) -> dict[str, Any]:
        """Those that a step of the program's own applies, which has been taken."""
        own, found = optimizer_of(model), enumerate(training.applied.of(model), 1)
        return {
            f"optimizer{suffix(number)}": self._own_optimizer if one is own else describing.optimizer_facts(one)
            for number, one in found
            if one is not None
        }

    def _describe(self, run: Run, model: Any, callbacks: Any, arguments: dict[str, Any]) -> None:
        facts = {
            "fit": arguments,
            "model": describing.model_facts(model),
            "compile": describing.compile_facts(model),
            "versions": describing.versions(),
            "devices": describing.devices(),
        }
        if getattr(model, "optimizer", None) is not None:
            # Now: in the middle of a fit JAX has its variables.
            self._own_optimizer = describing.optimizer_facts(model.optimizer)
            if not steps_itself(model):
                facts["optimizer"] = self._own_optimizer
            elif self._loop is not None:
                facts |= self._optimizers(model, self._loop)
        run.config.update(facts, source=NAME)
        for monitor, goal in describing.goals(getattr(callbacks, "callbacks", ())).items():
            run.define_metric(monitor, summary="best,last", goal=goal)
        report("hyperparameters", "recorded", NAME)
