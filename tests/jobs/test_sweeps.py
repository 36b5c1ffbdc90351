"""Several trainings in one process that never mentions rankzero."""

from __future__ import annotations

import sys

import pytest
from tests.jobs.conftest import RANKZERO, SCRIPTS, Jobs


@pytest.mark.slow
def test_each_job_of_a_hydra_sweep_is_a_run(jobs: Jobs) -> None:
    """Three jobs in one process are three runs, each with its own config, summary and end."""
    sweep = ["-m", "lr=0.1,0.2,0.3", f"hydra.sweep.dir={jobs.folder}/out"]
    jobs.run(RANKZERO, "run", sys.executable, SCRIPTS / "hydra_sweep.py", *sweep)
    runs = sorted(jobs.listed(), key=lambda run: str(run["created_at"]))
    assert [run["config"]["lr"] for run in runs] == [0.1, 0.2, 0.3]
    assert [run["config"]["optimizer"]["lr"] for run in runs] == [0.1, 0.2, 0.3]
    assert {(run["state"], run["exit_code"], run["attempts"]) for run in runs} == {("finished", 0, 1)}
