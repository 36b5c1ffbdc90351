"""The conformance tests: real jobs of a program that its author wrote, with and without the integration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from rankzero.query import details, find_run
from rankzero.testing.breaking import MESSAGE
from rankzero.testing.conformance.checks import assert_losses, assert_once, assert_only_own
from rankzero.testing.jobs import HERE, Jobs, Outcome
from rankzero.testing.plan import Plan

STEPS = 6
LIGHT = {"rankzero", "msgspec", "typing_extensions"}
"""What importing an integration may load beside its framework and other integrations."""


class Conformance:
    """Every promise of an integration, tried with a program that trains.

    Attributes:
        program: `path/of/file.py:function`. The function takes a `Plan`, does what it says, and returns what it learned as
            JSON: the same with and without rankzero, and from run to run. If that is a dict with a `loss`, this is a list of
            the loss of every step, and what is recorded is compared with it. The file does not import pytest, and rankzero only
            where `plan.by_hand` is true.
        packages: import names of the integration; and of those that it stands on.
        frameworks: import names of the packages that it hooks into.
        forms: "by hand", "no change", or both: the ways to record that it offers.
        metric: what is recorded at every step in both forms.
        own_series: what every rank records of itself with no change; empty if nothing.
        signs_checkpoints: whether a checkpoint says which run it belongs to. Where a framework has no place for it, one who goes on from
            a checkpoint in a new job names the run (`RANKZERO_RUN_ID`).
        repeats: metrics that the framework itself tells its loggers several times at a step, as in a last summary.
        registers: functions that the mere import of the package puts in place, because its users expect that.
        environ: variables of all jobs.
        timeout: seconds that a job may take.
    """

    program: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    frameworks: ClassVar[tuple[str, ...]]
    forms: ClassVar[tuple[str, ...]] = ("by hand", "no change")
    metric: ClassVar[str] = "loss"
    own_series: ClassVar[str] = "time/step"
    signs_checkpoints: ClassVar[bool] = True
    repeats: ClassVar[frozenset[str]] = frozenset()
    registers: ClassVar[frozenset[str]] = frozenset()
    environ: ClassVar[dict[str, str]] = {}
    timeout: ClassVar[float] = 180.0

    _without: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def jobs(self, tmp_path: Path) -> Jobs:
        """An empty folder for jobs."""
        return Jobs(tmp_path, **self.environ)

    @pytest.fixture(params=["by hand", "no change"])
    def form(self, request: pytest.FixtureRequest) -> str:
        """Each way to record that the integration offers."""
        if request.param not in self.forms:
            pytest.skip(f"{self.packages[0]} does not record {request.param}")
        return str(request.param)

    def train(self, jobs: Jobs, form: str, how: dict[str, Any] | None = None, **plan: Any) -> list[Outcome]:
        """Train as a job, recorded "by hand", with "no change", as "both", or not at all ("nothing")."""
        by_hand = form in {"by hand", "both"} and "by hand" in self.forms
        below = form in {"no change", "both"} and "no change" in self.forms
        asked = Plan(by_hand=by_hand, **({"steps": STEPS} | plan))
        options = {"timeout": self.timeout, "look_at": self.frameworks, "below": below, **(how or {})}
        return jobs.call(self.program, asked, **options)

    def without(self, jobs: Jobs) -> Any:
        """What the program learns without rankzero; found out once."""
        if self.program not in self._without:
            folder = jobs.folder / "without"
            folder.mkdir()
            (outcome,) = self.train(Jobs(folder, **self.environ), "nothing")
            assert "rankzero" not in outcome.loaded, "the program loads rankzero where it should not"
            self._without[self.program] = outcome.result
        return self._without[self.program]

    def test_importing_changes_nothing(self, jobs: Jobs) -> None:
        """The import of the package starts no thread, sets no handler, writes no file, replaces no function, loads nothing heavy."""
        (outcome,) = jobs.call(
            f"{HERE / 'importing.py'}:load", list(self.frameworks), self.packages[0], look_at=self.frameworks
        )
        assert outcome.result["changed"] == []
        loaded = {name for name in outcome.result["loaded"] if not name.startswith("rankzero_")}
        assert loaded <= LIGHT | set(self.frameworks)
        assert set(outcome.replaced) <= self.registers

    @pytest.mark.parametrize("how", ["by hand", "no change", "both"])
    def test_a_training_is_recorded_once(self, jobs: Jobs, how: str) -> None:
        """One run that finished, every step of it once, hyperparameters; and the program learns the same, bit by bit."""
        if not {how} <= {*self.forms, *(["both"] if len(self.forms) > 1 else [])}:
            pytest.skip(f"{self.packages[0]} does not record {how}")
        (outcome,) = self.train(jobs, how)
        assert outcome.result == self.without(jobs)
        found = jobs.only()
        assert found.state == "finished"
        assert_losses(found, self.metric, outcome.result, STEPS)
        assert_once(found, self.repeats)
        assert found.config, "no hyperparameters"
        if how != "by hand":
            assert found.captured("recorded"), "the capture report is empty"

    def test_a_job_of_two_is_one_run(self, jobs: Jobs, form: str) -> None:
        """Two ranks are one run; rank zero speaks for the job, the other has nothing but its own series."""
        outcomes = self.train(jobs, form, {"ranks": 2})
        found = jobs.only()
        assert sorted((start.rank, start.world_size, start.attempt) for start in found.starts) == [(0, 2, 1), (1, 2, 1)]
        assert found.state == "finished"
        assert_losses(found, self.metric, outcomes[0].result, STEPS)
        assert_once(found, self.repeats)
        assert_only_own(found)
        assert self.metric not in found.local, f"{self.metric!r} stands for the job, and each rank wrote its own"
        if self.own_series and form == "no change":
            assert self.own_series in found.local
            assert sorted(found.series[self.own_series]) == [0, 1]

    def test_no_collective(self, jobs: Jobs) -> None:
        """A job of which only rank zero records comes to its end: nobody waits for a call that the other does not make."""
        other = {1: [Plan(by_hand=False, steps=STEPS)]}
        outcomes = self.train(jobs, "both", {"ranks": 2, "unrecorded_rank": 1, "otherwise": other})
        found = jobs.only()
        assert found.ranks == [0]
        assert_losses(found, self.metric, outcomes[0].result, STEPS)

    def test_failures_are_silent(self, jobs: Jobs, form: str) -> None:
        """Where everything that the integration records fails, the program learns the same and ends well, with a warning."""
        how = {"breaks": self.packages, "environ": {"RANKZERO_STRICT": "0"}}
        (outcome,) = self.train(jobs, form, how)
        assert outcome.result == self.without(jobs)
        assert MESSAGE in jobs.printed

    def test_failures_are_loud_under_test(self, jobs: Jobs) -> None:
        """With RANKZERO_STRICT the same failure ends the program."""
        self.train(jobs, self.forms[-1], {"breaks": self.packages, "code": None})
        assert MESSAGE in jobs.printed

    def test_the_rank_that_fails_is_named(self, jobs: Jobs) -> None:
        """An error of the program in one rank is the run's failure, and that rank's."""
        self.train(jobs, self.forms[-1], {"ranks": 2, "code": None}, fail_at=3, fail_rank=1)
        shown = details(find_run(jobs.root, "latest").load())
        assert shown["state"] in {"failed", "crashed", "preempted"}
        assert shown["first_failure"]["rank"] == 1

    def test_a_restart_continues_the_run(self, jobs: Jobs) -> None:
        """A job that its launcher starts again is the same run's next attempt; steps done again have their old numbers."""
        self.train(jobs, self.forms[-1], {"restarts": 1}, save_at=2, fail_at=4)
        found = jobs.only()
        first, second = (one.steps(self.metric) for one in found.attempts)
        assert len(first) >= 3
        assert second == list(range(first[0] + 2, first[0] + STEPS))
        assert_once(found, self.repeats)

    def test_a_checkpoint_continues_its_run(self, jobs: Jobs, form: str) -> None:
        """A new job that goes on from a checkpoint is the next attempt of the run that saved it."""
        how = {} if self.signs_checkpoints else {"environ": {"RANKZERO_RUN_ID": "again"}}
        self.train(jobs, form, how, steps=4, save_at=4)
        self.train(jobs, form, how, steps=STEPS, save_at=4)
        first, second = (one.steps(self.metric) for one in jobs.only().attempts)
        assert first == list(range(first[0], first[0] + 4))
        assert second == list(range(first[0] + 4, first[0] + STEPS))

    def test_two_fits_are_told_apart(self, jobs: Jobs, form: str) -> None:
        """Two trainings of one process are two runs, or one in which each has series of its own; no step is lost."""
        self.train(jobs, form, fits=2)
        found = jobs.runs()
        series = [run.values(key) for run in found for key in (self.metric, f"{self.metric}@2") if run.values(key)]
        assert [len(values) for values in series] == [STEPS, STEPS]
        for run in found:
            assert_once(run, self.repeats)

    def test_disabled_there_is_nothing(self, jobs: Jobs) -> None:
        """With RANKZERO_MODE=disabled there is no run, no thread and no function replaced, by hand and below `rankzero run`."""
        (outcome,) = self.train(jobs, "both", {"environ": {"RANKZERO_MODE": "disabled"}})
        assert outcome.result == self.without(jobs)
        assert not jobs.root.exists()
        assert outcome.threads == []
        assert set(outcome.replaced) <= self.registers
