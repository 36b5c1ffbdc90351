"""Scripts that never mention rankzero, of many shapes, below `rankzero run`: each in its own processes, from start to end."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rankzero.records import Capture
from rankzero.records.parts import combine

if TYPE_CHECKING:
    from tests.integrations.pytorch.conftest import Job, Recorded

SCRIPTS = Path(__file__).parent / "scripts"

pytestmark = pytest.mark.slow

Read = Callable[[Path], "Recorded"]


@pytest.fixture
def record(job: Job, root: Path, read: Read) -> Callable[..., tuple[dict[str, Any], Recorded]]:
    """Run a script below `rankzero run`: what it printed last, and what was recorded."""

    def start(script: str, *arguments: str, **how: Any) -> tuple[dict[str, Any], Recorded]:
        command = [str(SCRIPTS / script)] if script.endswith(".py") else script.split()
        printed = job(*command, *arguments, below=True, **how).stdout
        lines = [line for line in printed.splitlines() if line.startswith("{")]
        return (json.loads(lines[-1]) if lines else {}), read(root)

    return start


Record = Callable[..., tuple[dict[str, Any], "Recorded"]]


def test_a_plain_loop(record: Record) -> None:
    """Loss, learning rates of both groups, norms, samples, timings, phases, hyperparameters and the model: all without a word."""
    printed, found = record("plain.py", "--epochs", "2", "--lr", "0.2")
    assert found.values("loss") == pytest.approx(printed["losses"])
    assert found.steps("loss") == list(range(1, 11))
    assert found.values("optim/lr/body") == pytest.approx([0.02] * 5 + [0.01] * 5)
    assert found.values("optim/lr/1") == pytest.approx([0.2] * 5 + [0.1] * 5)
    steps = found.steps("grad/norm_unclipped")
    assert steps[:2] == [1, 2]
    assert found.values("grad/norm_unclipped") == pytest.approx([printed["norms"][s - 1] for s in steps], rel=1e-3)
    assert found.values("progress/samples") == [16 * n for n in range(1, 11)]
    assert found.values("progress/micro_step") == list(range(1, 11))
    assert found.steps("time/step") == list(range(2, 11))
    assert {"time/step", "time/input", "time/busy", "throughput/samples", "time/eval"} <= found.local
    assert [phase for phase in found.phases() if phase] == ["evaluation", "checkpoint", "evaluation"] * 2
    config: Any = found.config
    assert (config["epochs"], config["lr"]) == (2, 0.2)
    assert config["optimizer"]["class"] == "SGD"
    assert config["optimizer"]["momentum"] == 0.9
    assert [group["parameters"] for group in config["optimizer"]["groups"]] == [144, 51]
    assert config["model"]["parameters"] == 195
    assert config["model"]["layers"] == [["0", "Linear", 144], ["2", "Linear", 51]]
    assert {
        "loss",
        "optim/lr",
        "grad/norm",
        "weight/norm",
        "time/step",
        "time/input",
        "throughput/samples",
    } <= found.captured("recorded")
    told = [record.what for record in found.records if isinstance(record, Capture)]
    assert [what for what in told if what in {"loss", "optim/lr"}] == ["loss", "optim/lr"]  # the same in every run
    assert [what for what in told if what in {"time/input", "time/step"}] == ["time/input", "time/step"]


def test_parameters_on_request(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """RANKZERO_GRADIENTS asks for every parameter and its histogram, RANKZERO_LOG_EVERY how often."""
    monkeypatch.setenv("RANKZERO_GRADIENTS", "hist")
    monkeypatch.setenv("RANKZERO_LOG_EVERY", "4")
    _, found = record("plain.py", "--epochs", "2")
    assert found.steps("grad/norm/0.weight") == [1, 5, 9]
    assert len(found.histograms("grad/hist/2.bias")) == 3


@pytest.mark.parametrize("fused", [False, True])
def test_accumulation_with_a_scaler(record: Record, fused: bool) -> None:
    """The loss of a step is the sum of its scaled-back micro-batches; the scaler's factor and skipped steps are there."""
    printed, found = record("accumulate.py", *(["fused"] if fused else []))
    finite = [loss for loss in printed["losses"] if math.isfinite(loss)]
    assert [loss for loss in found.values("loss") if math.isfinite(loss)] == pytest.approx(finite, rel=1e-5)
    assert found.values("optim/skipped")[-1] == printed["skipped"] == 2
    assert found.values("optim/scale")[-1] == printed["scale"] == 64
    assert found.values("progress/micro_step")[-1] == 12
    assert all(map(math.isfinite, found.values("grad/norm")))
    assert found.events("nonfinite") == []


def test_two_models_that_take_turns(record: Record) -> None:
    """Each optimizer has its loss, rate and model; they share steps, of which the one that steps more often makes the number."""
    printed, found = record("gan.py")
    assert found.values("loss") == pytest.approx(printed["critic"])
    assert found.values("loss@2") == pytest.approx(printed["generator"])
    assert found.steps("loss") == list(range(1, 9))
    assert found.steps("loss@2") == [2, 4, 6, 8]
    assert (found.values("optim/lr")[0], found.values("optim/lr@2")[0]) == (1e-3, 2e-3)
    assert found.values("grad/norm")
    assert found.values("grad/norm@2")
    config: Any = found.config
    assert (config["optimizer"]["class"], config["optimizer@2"]["class"]) == ("Adam", "RMSprop")
    assert (config["model"]["parameters"], config["model@2"]["parameters"]) == (49, 12)


def test_two_models_that_accumulate_side_by_side(record: Record) -> None:
    """Each optimizer's loss is that of the passes that gave it gradients, from the first step on."""
    printed, found = record("in_turns.py")
    assert found.values("loss") == pytest.approx(printed["first"])
    assert found.values("loss@2") == pytest.approx(printed["second"])


def test_gradients_set_to_zero_between_two_passes(record: Record) -> None:
    """What went before is forgotten, though the model set them to zero, or an optimizer around the one that steps.

    An optimizer that does so at the end of its step has used them.
    """
    printed, found = record("perturbed.py")
    assert found.values("loss") == pytest.approx(printed["losses"])
    assert found.values("loss@2") == pytest.approx(printed["tidied"])


def test_samples_before_the_first_step(record: Record) -> None:
    """What a program looks at before it trains is not counted as trained on; of two loaders read side by side both are."""
    _, found = record("baseline.py")
    assert found.values("progress/samples") == [6 * step for step in range(1, 9)]


def test_models_one_after_another(record: Record) -> None:
    """Each has its own metrics, though objects of those before it are gone and their places in memory are taken again."""
    printed, found = record("folds.py")
    for number, losses in enumerate(printed["losses"], 1):
        suffix = f"@{number}" if number > 1 else ""
        assert found.values(f"loss{suffix}") == pytest.approx(losses)
        assert found.steps(f"grad/norm{suffix}")[:2] == found.steps(f"loss{suffix}")[:2]


def test_a_closure(record: Record) -> None:
    """The loss is what the closure returned at the parameters before the step."""
    printed, found = record("lbfgs.py")
    assert found.values("loss") == pytest.approx(printed["losses"])
    assert found.steps("grad/norm")[:2] == [1, 2]


def test_a_compiled_model(record: Record, job: Job) -> None:
    """The compiler works as often as without: no graph, break or frame more; and everything is recorded."""
    plain = json.loads(job(str(SCRIPTS / "compiled.py")).stdout.splitlines()[-1])
    printed, found = record("compiled.py")
    assert printed == plain
    assert found.values("loss") == pytest.approx(printed["losses"])
    assert found.values("grad/norm")


def test_an_exit_code_is_kept(record: Record) -> None:
    """A script that ends by `sys.exit(3)` does so, and raw tensors without a model are trained as well."""
    _, found = record("exits.py", code=3)
    assert found.values("loss") == pytest.approx([3.0, 3 * 0.8**2, 3 * 0.64**2])
    assert found.values("grad/norm")[0] == pytest.approx(math.sqrt(12))
    assert "model" not in found.config


def test_a_package(record: Record) -> None:
    """`python -m package` is recorded like a script."""
    printed, found = record("-m package")
    assert found.values("loss") == pytest.approx(printed["losses"])


def test_data_workers(record: Record) -> None:
    """Workers have no run of their own, and waiting for them is input wait."""
    _, found = record("workers.py")
    assert [start.rank for start in found.starts] == [0]
    assert found.values("progress/samples") == [6 * n for n in range(1, 9)]
    waits, whole = found.values("time/input"), found.values("time/step")
    assert sum(waits) > 0.5 * sum(whole)


def test_no_training_no_run(job: Job, root: Path) -> None:
    """A script that steps no optimizer leaves nothing, not even a folder."""
    job(str(SCRIPTS / "never_trains.py"), below=True)
    assert list(root.rglob("journal")) == []


@pytest.mark.parametrize(("how", "when", "who"), [("ddp", "before", 1), ("ddp", "after", 0), ("fsdp", "before", 1)])
def test_the_rank_that_sleeps_is_the_busy_one(record: Record, how: str, when: str, who: int) -> None:
    """All ranks' steps take as long; only the one that sleeps is busy for so long, wherever in its loop it sleeps."""
    _, found = record("slow_rank.py", how, when, str(who), processes=2)
    busy = {rank: sorted(found.values("time/busy", rank))[9] for rank in (0, 1)}
    assert busy[who] > 0.2
    assert busy[1 - who] < 0.15
    assert all(sorted(found.values("time/step", rank))[9] > 0.2 for rank in (0, 1))


def test_shards_are_recorded_by_every_rank(record: Record) -> None:
    """Of a model that no rank holds whole, each records its part of the norm; together they are the whole's."""
    printed, found = record("shards.py", processes=2)
    parts = [found.values("grad/norm#sumsq", rank)[0] for rank in (0, 1)]
    assert combine({"sumsq": parts}) == pytest.approx(printed["first"], rel=1e-3)


@pytest.mark.parametrize("library", ["torch", "tensorboardX"])
def test_summary_writers_are_heard(record: Record, root: Path, library: str) -> None:
    """What a script tells its SummaryWriter is recorded under its tags and steps, and the event files are written."""
    _, found = record("event_files.py", library)
    assert found.steps("Loss/train") == [0, 1, 2]
    assert found.values("Loss/train") == pytest.approx([3.0, 3 * 0.8**2, 3 * 0.64**2])
    assert found.values("Accuracy") == pytest.approx([0.5, 0.6, 0.7])
    assert found.values("both/b") == [0, 2, 4]
    assert found.texts("about") == ["before there is a run"]
    assert sum(found.histograms("weights")[0].counts) == 3
    assert list(root.parent.glob("events/events.out.tfevents*"))


@pytest.mark.parametrize("how", ["adam", "sgd"])
def test_steps_done_again_have_their_old_numbers(record: Record, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """After a restart from step 4 the next is step 5, whether the optimizer says so or only the schedule does."""
    monkeypatch.setenv("RANKZERO_RUN_ID", "again")
    record("resume.py", how, "7")
    _, found = record("resume.py", how, "3")
    assert found.steps("loss") == [1, 2, 3, 4, 5, 6, 7, 5, 6, 7]
    assert found.values("progress/micro_step") == [1, 2, 3, 4, 5, 6, 7, 5, 6, 7]
    assert len(found.starts) == 2


def test_ranks_number_a_next_attempt_alike(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither optimizer nor schedule says how far it was, every rank goes on from where the run is."""
    monkeypatch.setenv("RANKZERO_RUN_ID", "again")
    record("slow_rank.py", "ddp", "before", "-1", processes=2)
    _, found = record("slow_rank.py", "ddp", "before", "-1", processes=2)
    for rank in (0, 1):
        assert found.steps("time/step", rank) == [*range(2, 21), *range(22, 41)]


def test_the_example_by_hand(job: Job, root: Path, read: Read) -> None:
    """`examples/digits.py` runs and records what it logs and watches."""
    job(str(Path(__file__).parents[3] / "examples" / "digits.py"), "--epochs", "2")
    found = read(root)
    assert len(found.values("loss")) == 56
    assert len(found.values("accuracy")) == 2
    assert found.values("grad/norm")
    assert found.config["width"] == 64
