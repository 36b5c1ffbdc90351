"""`RankZeroTracker`: what `Accelerator(log_with="rankzero")` stands for."""

# pyright: reportMissingImports=false
from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from accelerate.state import PartialState
from accelerate.tracking import GeneralTracker

import rankzero
from rankzero import Image
from rankzero.plugin import Run, current_run, holding, open_run, opened_here, report, started_by_run, training_run
from rankzero_hf.registration import add_again
from rankzero_pytorch.tables import Table

NAME = "accelerate"
_trackers: weakref.WeakKeyDictionary[Run, int] = weakref.WeakKeyDictionary()
"""How many trackers record in a run."""


class RankZeroTracker(GeneralTracker):
    """Records what a program tells its Accelerator, in the run of its job.

    Args:
        run_name: the project, as `Accelerator.init_trackers` calls it. Below `rankzero run` the job's project stays.
        **given: for `rankzero.init`: name, group, tags, id, ...
    """

    name = "rankzero"
    requires_logging_directory = False
    main_process_only = True

    def __init__(self, run_name: str = "", **given: Any) -> None:
        super().__init__()
        self.run_name = run_name
        self.run: Run | None = None
        self._given = given
        self._made = self._finished = False

    def start(self) -> None:
        """Make the run; the program's own, made by `rankzero.init`, is used if there is one."""
        from rankzero_hf.accelerators import listen_to_states

        listen_to_states()
        run = current_run()
        with holding():  # `Accelerator.load_state` may follow, and say which run it is
            if (
                run is None and started_by_run()
            ):  # where all ranks must name the same run, and only this one has a tracker
                run = training_run(NAME)
                if run is not None:
                    run.describe(**{key: self._given[key] for key in ("name", "group", "notes") if key in self._given})
            elif run is not None and run in _trackers and not started_by_run():  # another Accelerator's
                run = rankzero.init(self.run_name or None, reinit="create_new", **self._given)
                self._made = True
            if run is None:
                run = open_run(NAME, project=self.run_name, **self._given)
        self._made = self._made or opened_here(run)
        self.run = run
        _trackers[run] = _trackers.get(run, 0) + 1
        report("log calls", "recorded", NAME)

    @property
    def tracker(self) -> Run:
        """The run."""
        if self.run is None:
            raise AttributeError("the tracker has no run yet: Accelerator.init_trackers() makes it")
        return self.run

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Record hyperparameters."""
        run = self._here()
        if run is not None:
            run.config.update(values, source=NAME)

    def log(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Record values; see `rankzero.Run.log`."""
        run = self._here()
        if run is not None:
            run.log(values, step=step, **kwargs)

    def log_images(self, values: Mapping[str, Sequence[Any]], step: int | None = None, **kwargs: Any) -> None:
        """Record images: under each name a list of arrays (height, width, channels) or pictures."""
        self.log({key: [Image(image) for image in images] for key, images in values.items()}, step, **kwargs)

    def log_table(
        self,
        table_name: str,
        columns: Sequence[str] | None = None,
        data: Sequence[Sequence[Any]] | None = None,
        dataframe: Any = None,
        step: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Record a table, given as columns and rows or as a DataFrame, as a JSON file."""
        self.log({table_name: Table(columns, data, dataframe)}, step, **kwargs)

    def finish(self) -> None:
        """End the run, if it was made for a tracker and no other tracker needs it."""
        run = self.run
        if run is None or self._finished:
            return
        self._finished = True
        _trackers[run] -= 1
        if self._made and not _trackers[run]:
            run.finish()

    def continues(self, run_id: str) -> bool:
        """Have the run be the one of this id, which a loaded state has named; whether it is."""
        return self.run is not None and self._made and self.run.adopt(run_id)

    def _here(self) -> Run | None:
        """The run, on the process that records; on others None."""
        return self.tracker if self.run is not None or PartialState().is_main_process else None


add_again("accelerate.tracking")
