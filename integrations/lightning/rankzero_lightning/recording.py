"""What is known of one Trainer: whether it is recorded, to which run, and where in its work it is."""

from __future__ import annotations

import weakref
from typing import Any

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
from rankzero_lightning import identity
from rankzero_lightning.checkpoints import note_best, place
from rankzero_lightning.describing import SOURCE, define_monitored, describe_fit, hyperparameters_of
from rankzero_lightning.fit import Fit
from rankzero_lightning.flavors import batches_that_stepped, is_fitting
from rankzero_lightning.logger import LoggerCore, made
from rankzero_lightning.options import Options
from rankzero_lightning.phases import NAME, PRECEDENCE, Phases
from rankzero_pytorch.wanted import Wanted
from rankzero_pytorch.zero_change.clock import Clock
from rankzero_pytorch.zero_change.gaps import Gaps
from rankzero_pytorch.zero_change.hooks import loop, rest

WHOLE = "loop"
"""Claimed for as long as a Trainer works: plain-PyTorch capture stands down."""

OWN = ("loss", "optim/lr", "grad/norm", "time/step", "throughput/samples", "time/eval", "time/checkpoint")
"""Claimed when they are recorded."""

_done: weakref.WeakKeyDictionary[Run, int] = weakref.WeakKeyDictionary()
"""The steps that were done at the end of the last fit of this process, in each run."""


class Recording:
    """One Trainer, over all that it is asked to do.

    Attributes:
        active: what it does now is recorded.
        hears: the hooks at every step that a fit wants to be told of.
    """

    def __init__(self, trainer: Any) -> None:
        self.active = False
        self.clock = Clock()
        self._gaps = Gaps()
        self._trainer = weakref.ref(trainer)
        self._logger: LoggerCore | None = None
        self._options: Options | None = None
        self._run: Run | None = None
        self._phases: Phases | None = None
        self.fit: Fit | None = None
        self.hears: set[str] = set()
        self._continued = ""
        self._described = False
        self._told: list[Any] = []

    def of(self, trainer: Any) -> bool:
        """Whether this is about that Trainer."""
        return self._trainer() is trainer

    def is_told_by(self, logger: Any) -> bool:
        """Whether that is its Trainer's first logger."""
        trainer = self._trainer()
        return trainer is not None and any(found is logger for found in trainer.loggers[:1])

    # -- one fit, validation, test or prediction ------------------------------------------------------------------------

    def begin(self, trainer: Any, checkpoint: Any) -> None:
        """The Trainer sets to work, perhaps from a checkpoint."""
        loggers = [logger for logger in trainer.loggers if isinstance(logger, LoggerCore)]
        self._logger = loggers[0] if loggers else None
        self._options = next((callback for callback in trainer.callbacks if isinstance(callback, Options)), None)
        rehearsal = bool(trainer.fast_dev_run)
        asked = self._logger is not None or self._options is not None
        self.active = not rehearsal and (asked or started_by_run())
        if self.active or rehearsal:
            for quantity in (WHOLE, "SummaryWriter") if rehearsal else (WHOLE,):
                claim(quantity, NAME, PRECEDENCE)
            rest(resting=True)
        if not self.active:
            return
        project = read_settings().project if self._logger is None else self._logger.name
        self._continued = identity.peek(checkpoint, project) if checkpoint and is_fitting(trainer) else ""
        for logger in loggers:
            logger.prepare(run_id=self._continued if logger is self._logger else "", beside=logger is not self._logger)

    def loaded(self, trainer: Any, checkpoint: Any) -> None:
        """A checkpoint was read, perhaps one that could not be looked into before."""
        if is_fitting(trainer) and self._logger is None and not self._continued:
            self._continued = identity.read(checkpoint, read_settings().project)

    def saving(self, checkpoint: dict[str, Any]) -> None:
        """A checkpoint is being put together."""
        run = self._existing()
        if run is not None and run.state == "running":
            identity.write(checkpoint, run)

    def failed(self, error: BaseException) -> None:
        """What the Trainer did ended with an error."""
        run = self._existing()
        if self.active and run is not None and not type(error).__name__.startswith("_"):
            training_failed(run, error)

    def end(self) -> None:
        """The Trainer is done with it."""
        self._end_fit()
        self.active = False
        for quantity in (WHOLE, "SummaryWriter", *OWN):
            release(quantity, NAME)
        rest(resting=False)

    # -- what happens in it ---------------------------------------------------------------------------------------------

    def fit_began(self, trainer: Any) -> None:
        """Training sets in."""
        self._begin_fit(trainer, trainer.lightning_module)

    def fit_ended(self, trainer: Any) -> None:
        """Training is over."""
        self._end_fit()

    def evaluation_began(self, trainer: Any) -> None:
        """A validation or a test."""
        if not trainer.sanity_checking:
            self._begin_phase(trainer, "evaluation")

    def evaluation_ended(self, trainer: Any) -> None:
        """It is over."""
        self._end_phase(trainer)

    def metrics(self, trainer: Any, metrics: Any, step: int | None) -> None:
        """The Trainer has told its loggers, if any, these metrics."""
        if not metrics or self._logger is not None:
            return
        run = self._of_now(trainer)
        if run is None:
            return
        row = dict(metrics)
        if step is None:
            given = row.pop("step", None)
            if given is None:
                row.setdefault("epoch", trainer.current_epoch)
            step = batches_that_stepped(trainer) if given is None else int(given)
        run.log(row, step=step)
        report("metrics", "recorded", NAME)

    def told(self, metrics: Any, step: int | None) -> None:
        """The program has told its logger these metrics by itself."""
        trainer = self._trainer()
        run = self._of_now(trainer) if self.active else self._run
        if run is None or self._logger is not None or run.state != "running":
            return
        run.log(metrics, step=batches_that_stepped(trainer) if step is None else int(step))
        report("metrics", "recorded", NAME)

    def configured(self, params: Any) -> None:
        """The program has told its logger these hyperparameters by itself."""
        if self._described and self._run is not None and self._run.state == "running":
            self._run.config.update(params, source=SOURCE)
        elif self.active:
            self._told.append(params)

    def begin_checkpoint(self, trainer: Any) -> bool:
        """A checkpoint is about to be saved."""
        return self.fit is not None and self._begin_phase(trainer, "checkpoint")

    def end_checkpoint(self, trainer: Any, path: Any) -> None:
        """It was saved there."""
        self._end_phase(trainer)
        if self._run is not None and self._run.rank == 0:
            where = place(path)
            self._run.summary.update({"checkpoint/last": where})
            self._run.event("checkpoint", where, step=batches_that_stepped(trainer), epoch=trainer.current_epoch)

    # -- the run --------------------------------------------------------------------------------------------------------

    def _existing(self) -> Run | None:
        return self._run if self._logger is None else self._logger.existing

    def _of_now(self, trainer: Any) -> Run | None:
        """The run that this Trainer records to now; made if need be. None where nothing is recorded."""
        if self._logger is not None:
            run: Run | None = self._logger.live()
        elif self._run is not None and self._run.state == "running":
            return self._run
        else:
            run = self._made()
        if run is None or run.disabled:
            self.active = False
            return None
        if run is not self._run:
            self._run, self._phases = run, Phases(run, self.clock, self._gaps)
            loop.writers.attach(run)
        if not self._described and run.rank == 0:
            self._described = True
            if self._logger is None:
                for given in (hyperparameters_of(trainer, trainer.lightning_module), *self._told):
                    run.config.update(given, source=SOURCE)
            self._told.clear()
        return run

    def _made(self) -> Run | None:
        """A run without a logger of ours: the user's, or one for each Trainer; a checkpoint's, where that is continued."""
        found = current_run()
        if found is not None and found not in made:
            run = training_run(NAME)
        elif started_by_run() or self._options is not None:
            run = open_run(NAME, id=self._continued or ("" if self._run is None else self._run.id))
        else:
            run = None
        if run is not None and opened_here(run):
            made.add(run)
        return run

    # -- fit and phases -------------------------------------------------------------------------------------------------

    def _begin_fit(self, trainer: Any, module: Any) -> None:
        self._end_fit()
        run = self._of_now(trainer)
        if run is not None and self._goes_back(run, trainer):
            run.finish()
            run = self._of_now(trainer)
        if run is None:
            return
        if run.rank == 0:
            describe_fit(run, trainer, module, layout=self._logger is None)
            define_monitored(run, trainer)
        wanted, every = self._wanted(run)
        self.fit = Fit(run, trainer, module, self.clock, self._gaps, wanted=wanted, every=every)
        self.hears = self.fit.hears
        self.fit.begin()

    def _goes_back(self, run: Run, trainer: Any) -> bool:
        """Whether this fit does steps again that one of this process did in the run: that is the run's next attempt."""
        return run.id == self._continued and run in made and batches_that_stepped(trainer) < _done.get(run, 0)

    def _wanted(self, run: Run) -> tuple[Wanted | None, int | None]:
        if self._options is not None:
            return self._options.wanted, self._options.log_freq
        settings = run.settings
        if settings.gradients == "off":
            report("grad/norm", "off", NAME, "RANKZERO_GRADIENTS=off")
            return None, None
        each = settings.gradients in {"params", "hist"}
        histograms = "sampled" if settings.gradients == "hist" else "none"
        return Wanted(each=each, histograms=histograms), settings.log_every or None

    def _end_fit(self) -> None:
        fit, self.fit = self.fit, None
        self.hears = set()
        trainer = self._trainer()
        if trainer is not None and self._phases is not None:
            self._phases.end(batches_that_stepped(trainer))
        if fit is None:
            return
        fit.end()
        if trainer is not None and self._run is not None:
            _done[self._run] = batches_that_stepped(trainer)
        if trainer is not None and self._run is not None and self._run.rank == 0:
            for callback in trainer.checkpoint_callbacks:
                note_best(self._run, callback)

    def _begin_phase(self, trainer: Any, phase: str) -> bool:
        return self._of_now(trainer) is not None and self._phases is not None and self._phases.begin(phase)

    def _end_phase(self, trainer: Any) -> None:
        if self._phases is not None:
            self._phases.end(batches_that_stepped(trainer))
