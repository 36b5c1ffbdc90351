"""What is recorded of one Trainer: its log lines as they are, its hyperparameters, phases and checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rankzero.plugin import Run, claim, release, report, training_failed
from rankzero_hf import describing, identity, listening, models
from rankzero_hf.runs import NAME, runs

EVENTS = ("on_train_begin", "on_log", "on_predict", "on_save", "on_train_end")
"""What `Recording.hear` is told of."""

PRECEDENCE = 30
CLAIMED = ("loss",)
"""What the Trainer's own log lines hold, reduced as it thinks right; the rest is heard from PyTorch."""


class Recording:
    """Listens to the events of one Trainer, on every rank.

    Args:
        given: for `rankzero.init`.
        watch: what to watch of the model, as for `Run.watch`; None for nothing.
        log_model: what to keep of the model: "off", "end", "checkpoint"; None for what the setting says.

    Attributes:
        silent: another one records this Trainer.
        counts: `listening.stepped` is to be called after each optimizer step, and `listening.trained` after each other batch.
    """

    def __init__(
        self, given: dict[str, Any] | None = None, *, watch: str | None = None, log_model: str | None = None
    ) -> None:
        self._given = given or {}
        self._watch = watch
        self._log_model = log_model
        self._run: Run | None = None
        self._told: tuple[int, Any] | None = None
        self._state: Any = None
        self.silent = self.counts = False
        self._events: dict[str, Callable[..., None]] = {
            "on_train_begin": self._begin,
            "on_log": self._log,
            "on_predict": self._predicted,
            "on_save": self._saved,
            "on_train_end": self._end,
        }

    def hear(self, event: str, args: Any, state: Any, control: Any, **more: Any) -> None:
        """An event, with what the Trainer tells its callbacks."""
        heard = self._events.get(event)
        if heard is not None and not self.silent:
            heard(args, state, control, **more)

    def interrupted_by(self, phase: str) -> bool:
        """The Trainer begins something other than training; whether `listening.goes_on` is to be called when it is over."""
        return not self.silent and self._run is not None and not self._run.disabled and listening.interrupted_by(phase)

    def _begin(self, args: Any, state: Any, control: Any, *, model: Any = None, **_: Any) -> None:
        again = self._state is not None and bool(args.auto_find_batch_size)
        run = runs.of_training(args, state, self._given, again=again)
        if run is not self._run:
            self._told = None
        self._run, self._state = run, state
        if run.disabled:
            return
        for quantity in CLAIMED:
            claim(quantity, NAME, PRECEDENCE)
            report(quantity, "recorded", NAME)
        identity.sign(state, run)
        if state.is_world_process_zero:
            self._describe(run, args, state, model)
        if self._watch is not None:
            run.watch(model, log=self._watch)
        self.counts = listening.begin(partial(getattr, state, "global_step"), alone=args.world_size == 1)

    def failed(self, error: BaseException) -> None:
        """Training ended with an error."""
        if self._state is not None and self._run is not None:
            training_failed(self._run, error)
        self._stop()

    def _stop(self) -> None:
        if self._state is None:
            return
        for quantity in CLAIMED:
            release(quantity, NAME)
        listening.end(counted=self.counts)
        self._state, self.counts = None, False

    def _describe(self, run: Run, args: Any, state: Any, model: Any) -> None:
        run.config.update(describing.arguments(args), source=NAME)
        run.config.update({**describing.model_facts(model), "versions": describing.versions()}, source=NAME)
        if state.trial_params:
            run.config.update({"trial": dict(state.trial_params)}, source=NAME)
        goal = describing.goals(args)
        if goal is not None:
            run.define_metric(goal[0], goal=goal[1], summary="last,best")
        report("hyperparameters", "recorded", NAME)

    def _log(self, args: Any, state: Any, control: Any, *, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs:
            row = dict(logs)
            now = (state.global_step, row.get("epoch"))
            if now == self._told:  # a step's second line, of an evaluation or the whole training
                del row["epoch"]
            elif "epoch" in row:
                self._told = now
            self._words(args).log(row, step=state.global_step)
            report("log lines", "recorded", NAME)

    def _predicted(
        self, args: Any, state: Any, control: Any, *, metrics: dict[str, Any] | None = None, **_: Any
    ) -> None:
        if metrics:
            self._words(args).log(dict(metrics), step=state.global_step)

    def _saved(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        run = self._run
        if run is None or run.disabled or not state.is_world_process_zero:
            return
        path = checkpoint_path(args, state)
        run.event("checkpoint", str(path), path=str(path), step=state.global_step, epoch=state.epoch)
        run.summary.update({"checkpoint": str(path), **_best(state)})
        report("checkpoints", "recorded", NAME)
        if self._keeps(run) == "checkpoint":
            models.keep_checkpoint(run, path)

    def _keeps(self, run: Run) -> str:
        return run.settings.log_model if self._log_model is None else self._log_model

    def _end(self, args: Any, state: Any, control: Any, *, model: Any = None, **more: Any) -> None:
        run = self._run
        self._stop()
        if run is not None and not run.disabled and state.is_world_process_zero:
            run.summary.update({"total_flos": state.total_flos, **_best(state)})
            if self._keeps(run) == "end":
                models.keep_model(run, args, model, more.get("processing_class") or more.get("tokenizer"))

    def _words(self, args: Any) -> Run:
        if self._run is None or self._run.state not in {"running", "disabled"}:
            self._run = runs.of_words(args, self._given)
        return self._run


def checkpoint_path(args: Any, state: Any) -> Path:
    """Where the Trainer has just saved a checkpoint; that of a search's trial lies in the trial's own folder."""
    name = f"checkpoint-{state.global_step}"
    folder = Path(args.output_dir).absolute()
    if not state.is_hyper_param_search:
        return folder / name
    found = sorted(folder.glob(f"run-*/{name}"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else folder / name


def _best(state: Any) -> dict[str, Any]:
    if state.best_metric is None:
        return {}
    best = {"best_metric": state.best_metric, "best_global_step": state.best_global_step}
    if state.best_model_checkpoint is not None:
        best["best_model_checkpoint"] = str(Path(state.best_model_checkpoint).absolute())
    return best
