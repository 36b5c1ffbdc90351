"""Whole jobs with transformers and accelerate, with no change and by name, in one process and in two."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from tests.integrations.hf.roots import BIN, REASON, SCRIPTS, Root
from tests.launchers.commands import free_ports, torchrun

TRAINER = str(SCRIPTS / "trainer.py")
NO_TRAINER = str(SCRIPTS / "no_trainer.py")
RUN = (str(BIN / "rankzero"), "run")

pytest.importorskip("transformers", reason=REASON)
pytest.importorskip("accelerate", reason=REASON)

pytestmark = pytest.mark.slow


def _seen(printed: str) -> dict[str, Any]:
    line = next(line for line in printed.splitlines() if line.startswith("seen "))
    return dict(json.loads(line.removeprefix("seen ")))


def _accelerate(processes: int = 2) -> tuple[str, ...]:
    """Two processes on CPU: with `--cpu` accelerate starts but one (1.15)."""
    (port,) = free_ports(1)
    return (
        str(BIN / "accelerate"), "launch", "--multi_gpu", "--num_machines=1", "--mixed_precision=no",
        "--dynamo_backend=no", f"--num_processes={processes}", f"--main_process_port={port}",
    )  # fmt: skip


def test_trainer_with_no_change(root: Root) -> None:
    """A Trainer script below `rankzero run` is recorded, sees the callbacks it would see, and learns the same weights."""
    without = _seen(root.job(sys.executable, TRAINER))
    assert _seen(root.job(*RUN, sys.executable, TRAINER)) == without
    run = root.only()
    assert run["points"]("loss")["step"] == [2, 4, 6, 8]
    assert run["points"]("eval_loss")["step"] == [4, 8]
    assert run["points"]("total_flos")["step"] == [8]  # which the callback that prints lines takes out of them
    assert run["points"]("time/step")["step"] == list(range(2, 9))
    assert run["config"]["model_config"]["hidden_size"] == 16
    told = {(line["what"], line["by"]) for line in run["capture"] if line["outcome"] == "recorded"}
    assert {("loss", "transformers"), ("optim/lr", "pytorch"), ("log lines", "transformers")} <= told
    assert ("loss", "pytorch") not in told


def test_by_name_below_run_without_import(root: Root) -> None:
    """`report_to="rankzero"` needs no import below `rankzero run`, and nothing is recorded twice."""
    more = {"report_to": "rankzero"}
    printed = root.job(*RUN, sys.executable, TRAINER, "--more", json.dumps(more))
    assert "RankZeroCallback" in _seen(printed)["callbacks"]
    run = root.only()
    assert run["points"]("loss")["step"] == [2, 4, 6, 8]
    assert run["metrics"]["eval_loss"]["count"] == 2


def test_tensorboard_beside_is_not_recorded_twice(root: Root) -> None:
    """What the Trainer also writes to TensorBoard is recorded once, under the Trainer's own names."""
    pytest.importorskip("tensorboard")
    root.job(*RUN, sys.executable, TRAINER, "--report-to", "tensorboard")
    metrics = root.only()["metrics"]
    assert "loss" in metrics
    assert not any(key.startswith(("train/", "eval/")) for key in metrics)


@pytest.mark.parametrize("change", ["none", "by name"])
def test_trainer_in_two_processes(root: Root, change: str) -> None:
    """Two ranks of torchrun are one run: rank zero's log lines, each rank's own step times."""
    job = [*torchrun("--nproc-per-node=2"), TRAINER]
    root.job(*([*RUN, *job] if change == "none" else [*job, "--report-to", "rankzero"]))
    run = root.only()
    assert (run["world_size"], run["state"]) == (2, "finished")
    assert run["metrics"]["loss"]["count"] == 4
    assert run["metrics"]["optim/lr"]["count"] == 8
    assert run["metrics"]["time/step"] | {"scope": "local", "count": 14} == run["metrics"]["time/step"]
    assert sorted(set(run["points"]("time/step")["rank"])) == [0, 1]


def test_failing_rank_is_named(root: Root) -> None:
    """The rank whose training step raised is what the run says failed first."""
    job = [*RUN, *torchrun("--nproc-per-node=2"), TRAINER, "--fail-at", "3"]
    root.job(*job, code=1)
    run = root.only()
    assert run["state"] in {"failed", "crashed"}
    assert run["first_failure"]["rank"] == 1


def test_going_on_after_a_failure(root: Root) -> None:
    """A Trainer that raises drives no longer: if the program goes on with a loop of its own, that is heard and numbered."""
    root.job(*RUN, sys.executable, TRAINER, "--fail-at", "3", "--fail-rank", "0", "--go-on")
    found = root.only()["points"]
    assert (found("optim/lr")["step"], found("optim/lr@2")["value"]) == ([1, 2, 3], [0.125] * 4)
    assert found("progress/micro_step")["value"] == [1, 2, 3, 5, 6, 7]
    assert found("loss")["step"] == [2]
    assert found("loss@2")["step"] == [3, 4, 5, 6]  # optimizers that take turns share a step


def test_no_trainer_with_no_change(root: Root) -> None:
    """A loop of its own with an Accelerator: loss over accumulated micro-batches, learning rate, and what it tells trackers."""
    root.job(*RUN, sys.executable, NO_TRAINER)
    run = root.only()
    assert run["points"]("loss")["step"] == list(range(1, 9))
    assert run["points"]("progress/micro_step")["value"] == list(range(2, 17, 2))
    assert run["config"]["accelerate"]["gradient_accumulation_steps"] == 2
    assert run["summary"]["checkpoint"].endswith("step_4")
    assert run["points"]("time/checkpoint")["step"] == [4]
    assert 0.3 < run["points"]("loss")["value"][0] < 1.2


def test_no_trainer_resumes(root: Root) -> None:
    """`Accelerator.load_state` continues the run whose state it loads."""
    root.job(*RUN, sys.executable, NO_TRAINER)
    root.job(
        *RUN, sys.executable, NO_TRAINER, "--resume_from_checkpoint", "no_trainer/step_4", "--max_train_steps", "10"
    )
    run = root.only()
    assert run["attempts"] == 2
    found = run["points"]("optim/lr")
    assert found["step"] == list(range(1, 11))
    assert found["attempt"] == [1] * 4 + [2] * 6


def test_no_trainer_resumes_with_a_tracker(root: Root) -> None:
    """Below `rankzero run` the ranks of a resumed job go on in the run of the state, though only one of them has a tracker."""
    job = [*_accelerate(), NO_TRAINER, "--with_tracking", "--report_to", "rankzero"]
    root.job(*RUN, *job)
    root.job(*RUN, *job, "--resume_from_checkpoint", "no_trainer/step_4", "--max_train_steps", "10")
    run = root.only()
    assert (run["attempts"], run["world_size"]) == (2, 2)
    assert run["points"]("train_loss")["step"] == list(range(1, 11))
    assert {*zip(run["points"]("time/step")["rank"], run["points"]("time/step")["attempt"], strict=True)} == {
        (0, 1), (1, 1), (0, 2), (1, 2),
    }  # fmt: skip


def test_no_trainer_with_another_tracker(root: Root) -> None:
    """What a program logs to TensorBoard through its Accelerator is recorded once, under its names and steps."""
    pytest.importorskip("tensorboard")
    root.job(*RUN, sys.executable, NO_TRAINER, "--with_tracking", "--report_to", "tensorboard")
    run = root.only()
    assert run["points"]("train_loss")["step"] == list(range(1, 9))
    assert run["config"]["max_train_steps"] == 8


@pytest.mark.parametrize("change", ["none", "by name", "both"])
def test_accelerate_launch_of_two(root: Root, change: str) -> None:
    """Two processes of `accelerate launch` are one run, whether recorded with no change, by name or both."""
    job = [*_accelerate(), NO_TRAINER]
    if change != "none":
        job += ["--with_tracking", "--report_to", "rankzero"]
    printed = root.job(*([] if change == "by name" else RUN), *job)
    assert "rank 1 of 2 did 8" in printed
    run = root.only()
    assert (run["world_size"], run["state"]) == (2, "finished")
    if change != "none":
        assert run["points"]("train_loss")["step"] == list(range(1, 9))
        assert run["config"]["max_train_steps"] == 8
    if change != "by name":
        assert run["metrics"]["loss"]["count"] == 8
        assert sorted(set(run["points"]("time/step")["rank"])) == [0, 1]
