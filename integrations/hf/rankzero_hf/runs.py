"""Which run a training belongs to: two calls of `train` are two runs, unless the second goes on where the first was saved."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

from rankzero.plugin import Run, current_run, open_run, opened_here
from rankzero_hf import identity

NAME = "transformers"


class Runs:
    """The runs of this process's trainings."""

    def __init__(self) -> None:
        self._trained: weakref.ref[Run] | None = None
        self._trials: dict[str, int] = {}

    def of_training(self, args: Any, state: Any, given: dict[str, Any], *, again: bool) -> Run:
        """The run of a training that begins.

        Args:
            args: its TrainingArguments.
            state: its TrainerState; loaded from a checkpoint it may name the run that it belongs to.
            given: for `rankzero.init`.
            again: it is the training that began before, from its beginning and with another batch size.
        """
        run = current_run()
        saved = run.id if again and run is not None else identity.run_of(state)
        trial = bool(state.is_hyper_param_search)
        if run is None or self._is_over(run, saved, trial=trial):
            run = open_run(NAME, **self._wishes(args, state, saved, given))
        self._trained = weakref.ref(run)
        return run

    def of_words(self, args: Any, given: dict[str, Any]) -> Run:
        """The run of metrics that come without a training: of an evaluation before it, or alone."""
        return current_run() or open_run(NAME, name=_name(args), **given)

    def _is_over(self, run: Run, saved: str, *, trial: bool) -> bool:
        """Whether the current run is that of something else."""
        if run.disabled or (not opened_here(run) and not trial):
            return False
        trained = self._trained is not None and self._trained() is run
        if trained:  # what goes on from its checkpoint, or begins again, is its next attempt
            return True
        return saved != run.id and not run.resumed if saved else not opened_here(run)

    def _wishes(self, args: Any, state: Any, saved: str, given: dict[str, Any]) -> dict[str, Any]:
        wishes: dict[str, Any] = {"id": saved, "name": _name(args)}
        if state.is_hyper_param_search:
            group = args.run_name or Path(args.output_dir).name or "search"
            number = self._trials[group] = self._trials.get(group, -1) + 1
            wishes |= {"name": state.trial_name or f"{group}-trial-{number}", "group": group}
        return wishes | given


def _name(args: Any) -> str:
    """What the user calls the run; before transformers 5 that was the output folder unless it was said."""
    return "" if args.run_name == args.output_dir else args.run_name or ""


runs = Runs()
"""Of this process."""
