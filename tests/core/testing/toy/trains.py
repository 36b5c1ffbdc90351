"""A program of the toy framework."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import toy  # type: ignore[import-not-found]


def train(plan: Any) -> dict[str, Any]:
    """Do what the plan says."""
    losses = [fit(plan, number) for number in range(plan.fits)]
    return {"loss": losses[0]}


def fit(plan: Any, number: int) -> list[float]:
    """One training."""
    path = Path(f"checkpoint-{number}.json")
    saved: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"losses": [], "run": ""}
    losses: list[float] = list(saved["losses"])
    run_id = saved["run"]
    listeners: list[Any] = []
    if plan.by_hand:
        from rankzero_toy import FLAW, Recorder  # type: ignore[import-not-found]

        recorder = Recorder(run_id)
        run_id = recorder.run.id
        listeners.append(recorder.hear)
        if FLAW == "changes the training" and not losses:
            losses = [1.0]

    def check(step: int, loss: float) -> None:
        if step == plan.fail_at and not saved["losses"] and int(os.environ.get("RANK", "0")) == plan.fail_rank:
            raise ValueError("failed on purpose")

    def save(step: int, loss: float) -> None:
        losses.append(loss)
        if plan.save_at and step % plan.save_at == 0:
            path.write_text(json.dumps({"losses": losses, "run": run_id}))

    weight = losses[-1] if losses else 1.0
    toy.fit(weight, range(len(saved["losses"]) + 1, plan.steps + 1), [check, *listeners, save])
    return losses
