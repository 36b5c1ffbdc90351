"""`RankZeroEvalCallback`: a table of predictions beside labels, as often as wanted."""

from __future__ import annotations

import json
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras

from rankzero import File, Run
from rankzero.plugin import current_run, guarded, log_aside, warn_once
from rankzero_keras.listening.models import models


class RankZeroEvalCallback(keras.callbacks.Callback):
    """Base of callbacks that record what a model predicts: say in `rows` what a line of the table holds.

        class Predictions(RankZeroEvalCallback):
            def rows(self, epoch, logs):
                found = self.model.predict(images, verbose=0).argmax(1)
                return zip(labels.tolist(), found.tolist())

        model.fit(..., callbacks=[RankZeroCallback(), Predictions(["label", "prediction"], every=5)])

    The table is kept as a JSON file with `columns` and `data`, at the step where the epoch ended. Without a run nothing is asked of
    `rows`. Only rank zero's table is kept; `rows` is called on every rank, for it may run the model.

    Args:
        columns: their names.
        name: of the table.
        every: epochs between two tables; the last epoch's is there in any case where its number is known.
        most: lines that are kept at most.
    """

    def __init__(
        self, columns: Sequence[str], *, name: str = "evaluation/predictions", every: int = 1, most: int = 1000
    ) -> None:
        super().__init__()
        self.columns = list(columns)
        self.name = name
        self.every = max(1, every)
        self.most = most

    @abstractmethod
    def rows(self, epoch: int, logs: dict[str, Any]) -> Iterable[Sequence[Any]]:
        """The lines of the table after an epoch, each with as many values as there are columns.

        Args:
            epoch: counted from 0.
            logs: the epoch's metrics.
        """

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """See `keras.callbacks.Callback`."""
        last = epoch + 1 == (self.params or {}).get("epochs")
        if not last and (epoch + 1) % self.every:
            return
        run = current_run()
        if run is None:
            warn_once(
                "keras table", "no run to record a table in; put RankZeroCallback() before it, or call rankzero.init()"
            )
            return
        with run.phase("evaluation"):
            lines = [list(line) for line, _ in zip(self.rows(epoch, dict(logs or {})), range(self.most), strict=False)]
        self._record(run, lines)

    @guarded("recording a table")
    def _record(self, run: Run, lines: list[list[Any]]) -> None:
        wrong = next((line for line in lines if len(line) != len(self.columns)), None)
        if wrong is not None:
            warn_once(
                "keras rows", f"rows() returned {wrong!r} for the columns {self.columns}; the table was not recorded"
            )
            return
        folder = Path(tempfile.mkdtemp(prefix="rankzero-"))
        path = folder / f"{self.name.replace('/', '_')}.table.json"
        path.write_text(json.dumps({"columns": self.columns, "data": lines}, default=_plain), encoding="utf-8")
        recording = models.of(self._model)
        if recording is not None and recording.training is not None:
            log_aside(run, {self.name: File(path)}, recording.training.done)
        else:
            run.log({self.name: File(path)}, commit=False)


def _plain(value: Any) -> Any:
    """A number or a list from what an array library made, a text from anything else."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
