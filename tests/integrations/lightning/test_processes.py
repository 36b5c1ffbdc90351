"""Jobs of several processes, started by Lightning itself: one run, each rank in its place."""

from __future__ import annotations

import json
import math

import pytest
from tests.integrations.lightning.conftest import Command, Recorded, folders, only

pytest.importorskip("lightning", reason="lightning is not installed: pip install 'rankzero[lightning]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def _assert_one_job(recorded: Recorded, steps: int = 8) -> None:
    assert {(start.rank, start.world_size) for start in recorded.starts} == {(0, 2), (1, 2)}
    assert len({start.attempt for start in recorded.starts}) == 1
    assert recorded.steps("loss") == recorded.steps("train_loss") == list(range(steps))
    assert recorded.steps("val_loss") == list(range(3, steps, 4))
    for rank in (0, 1):
        assert recorded.steps("time/step", rank) == list(range(1, steps))
    assert set(recorded.series["loss"]) == set(recorded.series["val_loss"]) == {0}


@pytest.mark.parametrize("logger", ["true", "rankzero"])
@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_two_processes_are_one_run(command: Command, strategy: str, logger: str) -> None:
    """Two ranks on CPU, with no change and with the logger: one run, its metrics once, step times of both ranks."""
    arguments = ("--strategy", strategy, "--devices", "2", "--logger", logger)
    lines = command.python("trains.py", *arguments, below=logger == "true")
    recorded = only(command.root)
    _assert_one_job(recorded)
    if logger == "rankzero" and strategy == "ddp":
        checkpoint = json.loads(next(line for line in lines if line.startswith("{")))["checkpoint"]
        assert checkpoint.startswith(f"runs/default/{folders(command.root)[0].name}/checkpoints/")


@pytest.mark.parametrize("logger", ["true", "rankzero"])
def test_trainers_in_turn_that_spawn_are_runs_of_their_own(command: Command, logger: str) -> None:
    """Each Trainer's processes are new ones, which know nothing of those before them but where their own group meets."""
    arguments = ("--strategy", "ddp_spawn", "--devices", "2", "--logger", logger, "--trainers", "2", "--epochs", "1")
    command.python("trains.py", *arguments, below=logger == "true")
    runs = [Recorded(folder) for folder in folders(command.root)]
    assert [sorted((start.attempt, start.rank) for start in run.starts) for run in runs] == [[(1, 0), (1, 1)]] * 2
    assert [run.steps("loss") for run in runs] == [list(range(4))] * 2


def test_a_rank_that_fails_is_named(command: Command) -> None:
    """The error of rank one is recorded as rank one's."""
    command.python("trains.py", "--strategy", "ddp", "--devices", "2", "--fail-on-rank", "1", below=True, fails=True)
    events = only(command.root).events("training-failed")
    assert [(event.data["rank"], event.message) for event in events if "purpose" in event.message] == [
        (1, "ValueError: failed on purpose")
    ]


def test_a_job_of_two_goes_on_from_its_checkpoint(command: Command) -> None:
    """Both ranks continue the same run as its next attempt."""
    arguments = ("--strategy", "ddp", "--devices", "2", "--logger", "rankzero")
    lines = command.python("trains.py", *arguments, "--epochs", "1")
    checkpoint = json.loads(next(line for line in lines if line.startswith("{")))["checkpoint"]
    command.python("trains.py", *arguments, "--epochs", "2", "--ckpt", str(command.folder / checkpoint))
    recorded = only(command.root)
    assert sorted((start.attempt, start.rank) for start in recorded.starts) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert recorded.steps("loss") == list(range(8))


def test_a_model_in_shards(command: Command) -> None:
    """FSDP2 on two ranks with no change: one run; the norm is that of the whole gradients, of which each rank has a part."""
    lines = command.python("shards.py", below=True, RANKZERO_LOG_EVERY="1")
    norms = json.loads(next(line for line in lines if line.startswith("[")))
    recorded = only(command.root)
    assert {(start.rank, start.world_size) for start in recorded.starts} == {(0, 2), (1, 2)}
    parts = zip(*(recorded.values("grad/norm#sumsq", rank) for rank in (0, 1)), strict=True)
    assert [math.sqrt(first + second) for first, second in parts] == pytest.approx(norms, rel=1e-3)
