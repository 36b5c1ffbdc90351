"""`RankZeroLogger`, but for its base class: the Logger contract of Lightning and of Fabric, fulfilled by a run."""

from __future__ import annotations

import os
import weakref
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rankzero
from rankzero import Image, RankZeroError, Text
from rankzero.plugin import Run, current_run, guard, opened_here, plain, read_settings, training_run
from rankzero_lightning.checkpoints import Checkpoints
from rankzero_lightning.describing import SOURCE
from rankzero_pytorch.tables import Table
from rankzero_pytorch.zero_change.model import describe

made: weakref.WeakSet[Run] = weakref.WeakSet()
"""Runs of a logger or of a Trainer without one: another makes its own, while a run that the user made is used."""


class LoggerCore:
    """Records a Trainer's work as a run, `Trainer(logger=RankZeroLogger())`. Works in every process; one job is one run.

    Args:
        name: how people call the run.
        save_dir: the root folder of all runs; ./.rankzero when neither given nor set by RANKZERO_DIR. Checkpoints lie in the
            run's own folder below it unless a ModelCheckpoint says otherwise.
        version: the run's id; a run of that id is continued. `id` is the same.
        project: a folder of runs; "default" when neither given nor set.
        log_model: False keeps the paths of checkpoints; True copies those there at the end into the run's files; "all"
            copies each when it is saved.
        prefix: put before the names of metrics, with a dash.
        experiment: a run to record to, made by `rankzero.init`.
        group: what the run belongs to.
        job_type: "train", "eval", ...
        tags: words to find the run by.
        notes: a free text.
        resume: what an existing run of that id means; see `rankzero.init`.
        mode: "on", or "disabled": every call is accepted and does nothing.
        settings: any setting by name.
    """

    LOGGER_JOIN_CHAR = "-"

    def __init__(
        self,
        name: str | None = None,
        save_dir: str | os.PathLike[str] | None = None,
        version: str | None = None,
        project: str | None = None,
        log_model: bool | str = False,
        prefix: str = "",
        experiment: Run | None = None,
        id: str | None = None,  # noqa: A002 - the name users know
        group: str | None = None,
        job_type: str | None = None,
        tags: Sequence[str] | None = None,
        notes: str | None = None,
        resume: str | bool | None = None,
        mode: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if log_model not in {True, False, "all"}:
            raise RankZeroError(f'RankZeroLogger(log_model={log_model!r}) is not known; write True, False or "all"')
        known = read_settings()
        self._project = project or known.project
        self._save_dir = os.fspath(save_dir) if save_dir is not None else str(known.root)
        self._id = version or id
        self._prefix = prefix
        self._run = experiment
        self._beside = False
        self._early: list[dict[str, Any]] = []
        self._checkpoints = Checkpoints(log_model)
        self._wishes: dict[str, Any] = {
            "name": name, "group": group, "job_type": job_type, "tags": None if tags is None else list(tags),
            "notes": notes, "resume": resume, "mode": mode, "settings": None if settings is None else dict(settings),
        }  # fmt: skip
        self._disabled = known.with_overrides(**{**dict(settings or {}), "mode": mode}).mode == "disabled"
        if not self._disabled:
            self._listen()

    # -- the run --------------------------------------------------------------------------------------------------------

    def live(self) -> Run:
        """The run, in every process of the job; made when first asked for, continued if it was over."""
        run = self._run
        if run is None or run.state not in {"running", "disabled"}:
            if run is not None:
                self._id = run.id
            run = self._run = self._open()
            early, self._early = self._early, []
            for told in early:
                _configure(run, **told)
        return run

    @property
    def existing(self) -> Run | None:
        """The run, if there is one already."""
        return self._run

    def prepare(self, *, run_id: str, beside: bool) -> None:
        """A Trainer sets to work: with a checkpoint of the run `run_id`, or `beside` another logger of this kind."""
        self._beside = beside
        if self._run is None and run_id and not (self._id or read_settings().run_id):
            self._id = run_id

    def _open(self) -> Run:
        found = current_run()
        if found is not None and (found.id == self._id if self._id else found not in made):
            training_run(SOURCE)
            self._project, self._save_dir = found.project, str(found.settings.root)
            if opened_here(found):  # made before the logger was first told anything, as Fabric does
                found.describe(**{key: self._wishes[key] for key in ("name", "group", "notes") if self._wishes[key]})
            return found
        wishes = {**self._wishes, "reinit": "create_new" if self._beside else None}
        run = rankzero.init(project=self._project, dir=self._save_dir, id=self._id, **wishes)
        made.add(run)
        training_run(SOURCE)
        return run

    # -- what Lightning calls -------------------------------------------------------------------------------------------

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record metrics at a step; in every process that is told them the run is known."""
        run = self.live()
        if self._is_other_rank():
            return
        if self._prefix:
            metrics = {f"{self._prefix}{self.LOGGER_JOIN_CHAR}{key}": value for key, value in metrics.items()}
        with guard("logging metrics"):
            run.log(metrics, step=step)

    def log_hyperparams(
        self, params: Mapping[str, Any] | Namespace, metrics: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        """Put hyperparameters into the run's config, nested as they are, and `metrics` into its summary.

        Where there is no run yet they wait for it: its processes, or the checkpoint that it goes on from, may come later.
        """
        if self._is_other_rank():
            return
        with guard("logging hyperparameters"):
            told = {"params": {**plain(params), **plain(more)}, "metrics": dict(metrics or {})}
            if self._run is None:
                self._early.append(told)
            else:
                _configure(self.live(), **told)

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Put the model's size and layers into the run's config."""
        if not self._is_other_rank():
            run = self.live()
            with guard("describing a model"):
                run.config.update({"model": describe(model)}, source=SOURCE)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Remember a checkpoint; `log_model` says whether its file is kept as well."""
        if not self._is_other_rank():
            run = self.live()
            with guard("remembering a checkpoint"):
                self._checkpoints.saved(run, checkpoint_callback)

    def save(self) -> None:
        """Nothing: what is logged is written by itself."""

    def finalize(self, status: str) -> None:
        """Write what is outstanding. The run goes on until the process ends: a test may follow the fit."""
        if self._early and not self._is_other_rank():
            self.live()
        if self._run is None or self._run.state != "running":
            return
        with guard("finishing a Trainer's work"):
            if status == "success" and not self._is_other_rank():
                self._checkpoints.finish(self._run)
            self._run.flush()

    # -- where it is ----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The run's project. The run's own name is `experiment.name`."""
        return self._project

    @property
    def version(self) -> str | None:
        """The run's id, the same in every process; None before there is a run, unless it was given."""
        return self._id if self._run is None else self._run.id

    @property
    def save_dir(self) -> str:
        """The root folder of all runs."""
        return self._save_dir

    @property
    def root_dir(self) -> str:
        """The project's folder."""
        return str(Path(self._save_dir, self._project))

    @property
    def log_dir(self) -> str:
        """The run's folder, once there is a run."""
        return self.root_dir if self.version is None else str(Path(self.root_dir, self.version))

    # -- what users call ------------------------------------------------------------------------------------------------

    def watch(self, model: Any, log: str | None = "gradients", log_freq: int | None = None, **options: Any) -> None:
        """Record gradients and parameters of a model; see `Run.watch`."""
        self.live().watch(model, log=log, log_freq=log_freq, **options)

    def unwatch(self, model: Any = None) -> None:
        """Stop watching."""
        self.live().unwatch(model)

    def log_image(
        self, key: str, images: Sequence[Any], step: int | None = None, caption: Sequence[str] | None = None
    ) -> None:
        """Record images: arrays, tensors, PIL images or figures, with a caption each if given.

        Raises:
            TypeError: `images` is no list.
            RankZeroError: there are not as many captions as images.
        """
        if not isinstance(images, list | tuple):
            raise TypeError(f"log_image(images=...) takes a list of images, not a {type(images).__name__}")
        captions = [""] * len(images) if caption is None else list(caption)
        if len(captions) != len(images):
            raise RankZeroError(f"log_image() got {len(images)} images and {len(captions)} captions; give one for each")
        if not self._is_other_rank():
            made = [Image(image, caption=text) for image, text in zip(images, captions, strict=True)]
            self.live().log({key: made}, step=step)

    def log_text(self, key: str, text: str, step: int | None = None) -> None:
        """Record a text."""
        if not self._is_other_rank():
            self.live().log({key: Text(text)}, step=step)

    def log_table(
        self,
        key: str,
        columns: Sequence[str] | None = None,
        data: Sequence[Sequence[Any]] | None = None,
        dataframe: Any = None,
        step: int | None = None,
    ) -> None:
        """Record a table, given as columns and rows or as a DataFrame.

        Raises:
            RankZeroError: there are neither rows nor a DataFrame.
        """
        if not self._is_other_rank():
            self.live().log({key: Table(columns, data, dataframe)}, step=step)

    # -- copies ---------------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """A copy, here or in another process, records to the same run."""
        return {**self.__dict__, "_run": None, "_id": self.version}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if not self._disabled:
            self._listen()

    def _listen(self) -> None:
        """Have Trainers tell what they do; filled in where the flavor is known."""

    def _is_other_rank(self) -> bool:
        """Whether this process is not the one that records for the job, as Lightning sees it."""
        raise NotImplementedError


def _configure(run: Run, params: dict[str, Any], metrics: dict[str, Any]) -> None:
    run.config.update(params, source=SOURCE)
    if metrics:
        run.summary.update(metrics)
