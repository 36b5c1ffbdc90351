"""rankzero for XGBoost: every round of `xgboost.train` and of its scikit-learn classes, by hand or with no change."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import perf_counter
from typing import Any

from xgboost import Booster
from xgboost.callback import CallbackContainer, TrainingCallback

from rankzero.plugin import Integration, Run, current_run, guarded, open_run, opened_here, replace, report

NAME = "xgboost"
KEY = "rankzero_run"
"""A model's attribute: the run that it was trained in. It is saved with the model."""


class RankZeroCallback(TrainingCallback):
    """Records a training: `xgboost.train(..., callbacks=[RankZeroCallback()])`."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._done = 0
        self._mark = 0.0

    def before_training(self, model: Any) -> Any:
        self._begin(model)
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self._record(self._done + epoch + 1, evals_log)
        return False

    @guarded("looking at a model")
    def _begin(self, model: Any) -> None:
        if not isinstance(model, Booster):  # cross-validation trains several
            return
        run = current_run()
        if run is None or opened_here(run):  # a training is a run, unless the program has made one
            run = open_run(NAME, id=model.attr(KEY))  # a model that is trained on continues its run
        self._run, self._done, self._mark = run, model.num_boosted_rounds(), perf_counter()
        model.set_attr(**{KEY: run.id})
        run.config.update({"xgboost": json.loads(model.save_config())["learner"]}, source=NAME)
        report("evaluation metrics", "recorded", NAME)
        report("grad/norm", "off", NAME, "trees have no gradients to be measured")

    @guarded("recording a boosting round")
    def _record(self, step: int, log: dict[str, dict[str, list[Any]]]) -> None:
        if self._run is None:
            return
        now, self._mark = self._mark, perf_counter()
        self._run.log(
            {f"{data}-{name}": values[-1] for data, found in log.items() for name, values in found.items()}, step
        )
        self._run.log({"time/step": self._mark - now}, step, ranks="all")


class XGBoost(Integration):
    """What `rankzero run` asks for."""

    name = NAME
    framework = "xgboost"
    extra = "xgboost"

    def activate(self) -> None:
        """Listen to all trainings: the program's own lists of callbacks stay what they are."""
        replace(CallbackContainer, "before_training", _around_before)
        replace(CallbackContainer, "after_iteration", _around_after)


def _around_before(original: Callable[..., Any]) -> Callable[..., Any]:
    def before_training(self: CallbackContainer, model: Any) -> Any:
        if not any(isinstance(one, RankZeroCallback) for one in self.callbacks):  # recorded by hand
            self.rankzero = RankZeroCallback()
            self.rankzero.before_training(model)
        return original(self, model)

    return before_training


def _around_after(original: Callable[..., Any]) -> Callable[..., Any]:
    def after_iteration(self: CallbackContainer, model: Any, epoch: int, *args: Any, **kwargs: Any) -> Any:
        ends = original(self, model, epoch, *args, **kwargs)
        if hasattr(self, "rankzero"):
            self.rankzero.after_iteration(model, epoch, self.history)
        return ends

    return after_iteration


integration = XGBoost()
