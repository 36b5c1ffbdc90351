"""`RankZeroCallback`: put into `callbacks=[...]`, it makes what a model does a run."""

from __future__ import annotations

from typing import Any

import keras

from rankzero import RankZeroError
from rankzero.plugin import Run, read_settings


class RankZeroCallback(keras.callbacks.Callback):
    """Records what `fit`, `evaluate` and `predict` do: metrics, learning rate, times, configuration, checkpoints.

    A model is one run: the current one if the program called `rankzero.init`, else a run of its own.

    Args:
        log: "gradients", "parameters" or "all" (both, the largest gradients and update ratios) of every parameter; by default only
            the norm of all gradients is sampled, as rarely as costs nothing to speak of.
        log_freq: batches between such samples; by default chosen so that they cost little, see the documentation.
        histograms: distributions as well, of at most 4,096 values of each tensor.
        batches: batches between two rows of metrics; 0 for epochs only, and gradients only if they are asked for.
        **given: for `rankzero.init`, where the callback makes the run: project, name, group, tags, notes, ...

    Attributes:
        run: that was recorded to last.

    Raises:
        RankZeroError: an argument is not possible.
    """

    def __init__(
        self,
        log: str | None = None,
        log_freq: int | None = None,
        histograms: bool = False,
        batches: int = 1,
        **given: Any,
    ) -> None:
        super().__init__()
        if log not in {None, "gradients", "parameters", "all"}:
            raise RankZeroError(
                f'RankZeroCallback(log={log!r}) is not known; write "gradients", "parameters", "all" or None'
            )
        if batches < 0 or (log_freq is not None and log_freq < 1):
            raise RankZeroError("RankZeroCallback() takes log_freq of at least 1, and batches of at least 0")
        self.log_what = log
        self.log_freq = log_freq
        self.histograms = histograms
        self.batches = batches
        self.given = given
        self.run: Run | None = None
        listen()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "run": None, "_model": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        listen()


def listen() -> None:
    """Listen to models: they tell this package themselves what they do, so that a callback costs no synchronisation."""
    if read_settings().mode == "disabled":
        return
    from rankzero_keras.listening.models import install

    install()
