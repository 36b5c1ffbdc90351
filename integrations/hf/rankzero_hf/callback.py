"""`RankZeroCallback`: what `report_to="rankzero"` stands for, or passed to a Trainer by hand."""

# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any

from transformers.trainer_callback import TrainerCallback

from rankzero.plugin import after_import, guarded, read_settings
from rankzero_hf.listening import stepped, trained
from rankzero_hf.models import wanted
from rankzero_hf.recording import EVENTS, Recording
from rankzero_hf.registration import add_again
from rankzero_hf.trainers import listen_to_work


class RankZeroCallback(TrainerCallback):
    """Records what a Trainer does: every log line at its step, hyperparameters, phases, checkpoints, gradients.

    A training is one run: the current one if the program called `rankzero.init`, else a run of its own. One that resumes from
    a checkpoint continues the run that the checkpoint belongs to; the trials of a hyperparameter search are runs of a group.

    Args:
        watch: "gradients", "parameters" or "all", to record every parameter as `Run.watch` does.
        log_model: False keeps the paths of checkpoints; "end" also keeps the model that training ends with in the run's files,
            "checkpoint" every checkpoint; as RANKZERO_LOG_MODEL says when not given.
        **given: for `rankzero.init`, where the callback makes the run: project, name, group, tags, notes, ...
    """

    def __init__(self, watch: str | None = None, log_model: bool | str | None = None, **given: Any) -> None:
        self._recording = Recording(given, watch=watch, log_model=None if log_model is None else wanted(log_model))
        if read_settings().mode != "disabled":
            after_import("transformers.trainer", listen_to_work)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """See `transformers.TrainerCallback`; in the way of every step."""
        if self._recording.counts:
            stepped()

    def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """See `transformers.TrainerCallback`."""
        if self._recording.counts:
            trained()

    @property
    def recording(self) -> Recording:
        """What is recorded of the callback's Trainer."""
        return self._recording


def _listener(event: str) -> Any:
    @guarded(f"recording {event}")
    def hear(self: RankZeroCallback, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._recording.hear(event, args, state, control, **more)

    hear.__name__ = event
    hear.__doc__ = "See `transformers.TrainerCallback`."
    return hear


for _event in EVENTS:
    setattr(RankZeroCallback, _event, _listener(_event))

add_again("transformers.integrations.integration_utils")
