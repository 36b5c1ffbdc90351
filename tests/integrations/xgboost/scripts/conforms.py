"""Boosted trees, alone or in processes that meet by XGBoost's tracker, that do what a plan says."""

import os
from pathlib import Path

import numpy as np
import xgboost
from xgboost.callback import TrainingCallback
from xgboost.collective import CommunicatorContext
from xgboost.tracker import RabitTracker

RANK, RANKS = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def train(plan):
    if RANKS == 1:
        losses = [fit(plan, number) for number in range(plan.fits)]
    else:
        where, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        if RANK == 0:
            tracker = RabitTracker(RANKS, where, port, sortby="task")
            tracker.start()
        with CommunicatorContext(
            dmlc_communicator="rabit",
            dmlc_tracker_uri=where,
            dmlc_tracker_port=port,
            dmlc_task_id=str(RANK),
            dmlc_retry=8,  # the tracker may come later than the others
        ):
            losses = [fit(plan, number) for number in range(plan.fits)]
        if RANK == 0:
            tracker.wait_for(60)  # it runs in this process, and the others take their leave of it
    return {"loss": losses[0], "others": losses[1:]}


class Saving(TrainingCallback):
    def __init__(self, plan, done, path):
        self.plan, self.done, self.path = plan, done, path

    def before_iteration(self, model, epoch, evals_log):
        if self.done + epoch + 1 == self.plan.fail_at and not self.done and self.plan.fail_rank == RANK:
            raise ValueError("failed on purpose")
        return False

    def after_iteration(self, model, epoch, evals_log):
        if self.plan.save_at and (self.done + epoch + 1) % self.plan.save_at == 0:
            model.save_model(self.path)
        return False


def fit(plan, number):
    random = np.random.default_rng((number, RANK))
    inputs = random.normal(size=(64, 4))
    data = xgboost.DMatrix(inputs, label=inputs.sum(1))
    path = Path(f"model-{number}.json")
    before = xgboost.Booster(model_file=path) if path.exists() else None
    done = before.num_boosted_rounds() if before else 0
    callbacks = [Saving(plan, done, path)]
    if plan.by_hand:
        from rankzero_xgboost import RankZeroCallback

        callbacks.append(RankZeroCallback())
    told = {}
    xgboost.train(
        {"max_depth": 2, "nthread": 1},
        data,
        plan.steps - done,
        evals=[(data, "train")],
        evals_result=told,
        verbose_eval=False,
        xgb_model=before,
        callbacks=callbacks,
    )
    return told["train"]["rmse"]
