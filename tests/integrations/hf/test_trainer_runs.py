"""One training is one run: what is recorded of it, and when a second one continues the first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integrations.hf.roots import REASON, Root

pytest.importorskip("transformers", reason=REASON)
pytest.importorskip("accelerate", reason=REASON)

import torch
from tests.integrations.hf.tiny import Sentences, Stream, classifier, trainer
from transformers import TrainerCallback, __version__

import rankzero
from rankzero.testing import Recorded, folders
from rankzero_hf import RankZeroCallback

Train = Callable[..., Any]


def test_every_log_line_at_its_step(root: Root, train: Train) -> None:
    """Each key of each line of the Trainer's own log history is recorded at the line's step with the line's value."""
    history = train().state.log_history
    run = root.only()
    expected: dict[str, list[tuple[int, float]]] = {}
    for line in history:
        for key, value in line.items():
            if key not in {"step", "epoch"}:
                expected.setdefault(key, []).append((line["step"], value))
    assert {"loss", "grad_norm", "learning_rate", "eval_loss", "train_runtime", "total_flos"} <= expected.keys()
    for key, pairs in expected.items():
        found = run["points"](key)
        assert list(zip(found["step"], found["value"], strict=True)) == pairs, key


def test_hyperparameters_and_model(root: Root, train: Train) -> None:
    """Arguments, the model's configuration and size, the optimizer and versions are in the config."""
    made = train(weight_decay=0.25)
    config = root.only()["config"]
    assert (config["learning_rate"], config["weight_decay"], config["max_steps"]) == (5e-5, 0.25, 10)
    assert config["model_config"]["hidden_size"] == 16
    parameters = sum(tensor.numel() for tensor in made.model.parameters())
    assert (config["model"]["parameters"], config["model"]["trainable"]) == (parameters, parameters)
    assert config["optimizer"]["class"] == "AdamW"
    assert config["versions"].keys() == {"transformers", "accelerate", "torch"}


def test_frozen_parameters_are_not_trainable(root: Root) -> None:
    """Total and trainable parameters are told apart."""
    made = trainer(root.folder / "out")
    for tensor in made.model.bert.parameters():
        tensor.requires_grad_(False)
    made.train()
    facts = root.only()["config"]["model"]
    head = made.model.classifier
    assert facts["trainable"] == head.weight.numel() + head.bias.numel() < facts["parameters"]


def test_what_pytorch_tells(root: Root, train: Train) -> None:
    """Each step's learning rate, gradient norm, times and throughput are there, at the Trainer's steps; loss once per line."""
    train(max_grad_norm=0.01)
    run = root.only()
    for key, steps in {
        "optim/lr": list(range(1, 11)),
        "time/step": list(range(2, 11)),
        "time/input": list(range(2, 11)),
        "throughput/samples": list(range(2, 11)),
        "loss": [2, 4, 6, 8, 10],
    }.items():
        assert run["points"](key)["step"] == steps, key
    clipped, before = run["points"]("grad/norm"), run["points"]("grad/norm_unclipped")
    assert clipped["step"][:2] == [1, 2]
    assert max(clipped["value"]) <= 0.0101 < min(before["value"])
    logged = dict(zip(run["points"]("grad_norm")["step"], run["points"]("grad_norm")["value"], strict=True))
    measured = dict(zip(before["step"], before["value"], strict=True))
    assert measured[2] == pytest.approx(logged[2], rel=1e-4)


def test_phases(root: Root, train: Train) -> None:
    """Evaluations and checkpoints are accounted as such."""
    train()
    run = root.only()
    assert run["points"]("time/eval")["step"] == [5, 10]
    assert run["points"]("time/checkpoint")["step"] == [5, 10]
    phases = run["usage"]["phases"]
    assert phases["evaluation"] > 0
    assert phases["checkpoint"] > 0
    assert phases["step"] > 0


def test_evaluations_of_several_datasets(root: Root, train: Train) -> None:
    """All of an evaluation counts as one, also of several datasets, or one that a callback asks for."""

    class Asks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 3:
                made.evaluate(Sentences(8), metric_key_prefix="more")

    made = trainer(
        root.folder / "out",
        eval_dataset={"short": Sentences(16), "long": Sentences(64)},
        callbacks=[Asks()],
        max_steps=5,
    )
    made.train()
    run = root.only()
    assert {"eval_short_loss", "eval_long_loss", "more_loss"} <= run["metrics"].keys()
    assert run["points"]("time/eval")["step"] == [3, 5]
    assert run["points"]("progress/samples")["value"] == list(range(4, 24, 4))


def test_checkpoints_and_best(root: Root, train: Train) -> None:
    """Checkpoints are recorded as paths, and the best of them in the summary."""
    train(metric_for_best_model="eval_loss", greater_is_better=False, load_best_model_at_end=True)
    run = root.only()
    summary = run["summary"]
    assert summary["checkpoint"] == str(root.folder / "out" / "checkpoint-10")
    assert Path(summary["best_model_checkpoint"]).parent == root.folder / "out"
    assert summary["best_metric"] == pytest.approx(min(run["points"]("eval_loss")["value"]))
    assert summary["total_flos"] > 0


def test_resuming_continues_the_run(root: Root, train: Train) -> None:
    """A training that resumes from a checkpoint is the next attempt of the same run, at the steps that follow."""
    train(max_steps=10)
    root.close()
    train(max_steps=14, resume=str(root.folder / "out" / "checkpoint-5"))
    run = root.only()
    assert run["attempts"] == 2
    found = run["points"]("optim/lr")
    assert found["step"] == list(range(1, 15))
    assert found["attempt"] == [1] * 5 + [2] * 9
    assert run["usage"]["phases"]["redone"] > 0
    assert run["points"]("progress/micro_step")["value"] == list(range(1, 15))
    assert run["points"]("progress/samples")["value"] == list(range(4, 60, 4))


def test_samples_of_an_iterable_dataset(root: Root, train: Train) -> None:
    """Samples count as the training gets them: neither fetched ahead nor skipped by one that resumes."""
    train(max_steps=16, train_dataset=Stream())
    resumed = [(5, 16), (16, 18)]  # in the middle of an epoch, and at its end, where transformers before 5 gives up
    for checkpoint, steps in resumed if int(__version__.partition(".")[0]) >= 5 else resumed[:1]:
        root.close()
        train(max_steps=steps, train_dataset=Stream(), resume=str(root.folder / "out" / f"checkpoint-{checkpoint}"))
    assert root.only()["points"]("progress/samples")["value"] == list(range(4, 4 * steps + 4, 4))


def test_resuming_counts_as_the_trainer_does(root: Root, train: Train) -> None:
    """Also with SGD, whose state does not say how many steps it has done."""
    train(max_steps=10, optim="sgd", lr_scheduler_type="constant")
    root.close()
    train(max_steps=12, optim="sgd", lr_scheduler_type="constant", resume=str(root.folder / "out" / "checkpoint-5"))
    found = root.only()["points"]("optim/lr")
    assert found["step"] == list(range(1, 13))
    assert found["attempt"] == [1] * 5 + [2] * 7


def test_resuming_from_an_unrecorded_checkpoint(root: Root, train: Train) -> None:
    """A checkpoint saved without rankzero resumes as a run of its own, and is saved again."""
    train(max_steps=5, report_to="none")
    assert root.runs() == []
    train(max_steps=10, resume=str(root.folder / "out" / "checkpoint-5"))
    assert root.only()["points"]("optim/lr")["step"] == [6, 7, 8, 9, 10]


def test_restoring_callbacks_from_a_checkpoint(root: Root, train: Train) -> None:
    """With `restore_callback_states_from_checkpoint` the callback stays the user's own, and so do its arguments."""
    mine = RankZeroCallback(name="mine")
    train(max_steps=5, report_to="none", callbacks=[mine])
    root.close()
    again = train(
        max_steps=10,
        report_to="none",
        callbacks=[RankZeroCallback(name="mine")],
        resume=str(root.folder / "out" / "checkpoint-5"),
        restore_callback_states_from_checkpoint=True,
    )
    assert any(isinstance(callback, RankZeroCallback) for callback in again.callback_handler.callbacks)
    run = root.only()
    assert (run["name"], run["attempts"]) == ("mine", 2)


def test_two_trainings_are_two_runs(root: Root, train: Train) -> None:
    """Training again from the start in one process makes a second run; evaluation belongs to the training before it."""
    first = train("a", max_steps=4)
    train("b", max_steps=6)
    assert [run["metrics"]["optim/lr"]["count"] for run in root.runs()] == [4, 6]
    first.train()
    assert len(root.runs()) == 3


def test_evaluation_and_prediction(root: Root, train: Train) -> None:
    """What `evaluate` and `predict` find after a training stands at its last step in its run."""
    made = train(eval_strategy="no")
    made.evaluate()
    made.predict(made.eval_dataset)
    run = root.only()
    assert run["points"]("eval_loss")["step"] == [10]
    assert run["points"]("test_loss")["step"] == [10]


def test_evaluation_before_training(root: Root) -> None:
    """A baseline's metrics and the training that follows are one run."""
    made = trainer(root.folder / "out")
    made.evaluate()
    made.train()
    assert root.only()["points"]("eval_loss")["step"] == [0, 5, 10]


def test_the_users_own_run(root: Root, train: Train) -> None:
    """A run that the program made by hand is the one that all its trainings are recorded in."""
    run = rankzero.init(project="mine", name="by hand")
    train("a", max_steps=4)
    train("b", max_steps=4)
    run.log({"mine": 1.0}, step=5)
    found = root.only()
    assert (found["project"], found["name"]) == ("mine", "by hand")
    assert {"mine", "loss"} <= found["metrics"].keys()


def test_run_name_and_arguments_of_the_callback(root: Root, train: Train) -> None:
    """`run_name` names the run; a callback made by hand takes the arguments of `rankzero.init`, and stands alone."""
    train(run_name="bert-small")
    train("other", report_to="none", callbacks=[RankZeroCallback(project="nlp", tags=["tiny"], watch="gradients")])
    train("third", max_steps=2)
    first, second, third = root.runs()
    assert third["points"]("grad/norm")["step"] == [1, 2]  # what the second watched is over with it
    assert first["name"] == "bert-small"
    assert (second["project"], second["tags"]) == ("nlp", ["tiny"])
    assert any(key.startswith("grad/norm/") for key in second["metrics"])
    assert second["points"]("grad/norm/classifier.weight")["step"][:2] == [1, 2]


def test_two_callbacks(root: Root, train: Train) -> None:
    """Of a callback by name and one by hand the one by hand records, and each quantity once."""
    train(callbacks=[RankZeroCallback(project="nlp")], max_steps=4)
    run = root.only()
    assert run["project"] == "nlp"
    assert run["points"]("loss")["step"] == [2, 4]


def test_accumulation(root: Root, train: Train) -> None:
    """With gradient accumulation a step is still an optimizer step; micro-steps are counted, and samples trained on, not those fetched."""
    train(gradient_accumulation_steps=3, max_steps=4)
    run = root.only()
    assert run["points"]("optim/lr")["step"] == [1, 2, 3, 4]
    assert run["points"]("progress/micro_step")["value"] == [3, 6, 9, 12]
    assert run["points"]("progress/samples")["value"] == [12, 24, 36, 48]


def test_tokens(root: Root, train: Train) -> None:
    """Tokens are recorded as the Trainer counts them."""
    train(include_num_input_tokens_seen="all", max_steps=4, logging_steps=1)
    assert root.only()["points"]("num_input_tokens_seen")["value"][:4] == [32, 64, 96, 128]


def test_all_and_lists(root: Root, train: Train) -> None:
    """`report_to="all"` and lists include rankzero once this package is imported."""
    train("a", max_steps=2, report_to=["rankzero"])
    made = trainer(root.folder / "b", max_steps=2, report_to="all")
    assert sum(isinstance(callback, RankZeroCallback) for callback in made.callback_handler.callbacks) == 1


def test_none_is_respected(root: Root, train: Train) -> None:
    """A Trainer that asks for nothing gets nothing, though this package is imported."""
    train(report_to="none")
    assert not root.path.exists()


def test_a_failure_of_ours_does_not_stop_training(root: Root, train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in recording, the training ends as it would have."""
    monkeypatch.delenv("RANKZERO_STRICT")
    monkeypatch.setattr("rankzero_hf.describing.arguments", lambda _: 1 / 0)
    made = train()
    assert made.state.global_step == 10


def test_a_training_that_raises(root: Root, train: Train) -> None:
    """If the program catches it the training is over: what the program does next is not taken for its steps."""

    class Stops(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 3:
                raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        train(callbacks=[Stops()])
    layer = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(torch.ones(2)).backward()
    optimizer.step()
    train("again", max_steps=4)
    assert [run["points"]("optim/lr")["step"] for run in root.runs()] == [[1, 2, 3], [1, 2, 3, 4]]
    assert not any("@2" in key for run in root.runs() for key in run["metrics"])
    told = [event.message for folder in folders(root.path) for event in Recorded(folder).events("training-failed")]
    assert told == ["KeyError: 'enough'"]


def test_going_on_in_the_process_that_saved(root: Root, train: Train) -> None:
    """A training that fails and is resumed by the same process goes on as the next attempt of its run."""

    class Fails(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 7:
                raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        train(callbacks=[Fails()])
    train(resume=str(root.folder / "out" / "checkpoint-5"))
    run = root.only()
    assert run["attempts"] == 2
    for key in ("optim/lr", "progress/micro_step"):
        assert run["points"](key)["step"] == list(range(1, 11))
        assert run["points"](key)["attempt"] == [1] * 5 + [2] * 5
    assert run["points"]("progress/samples")["value"] == list(range(4, 44, 4))
    assert not any("@2" in key for key in run["metrics"])


def test_a_batch_size_that_is_found(root: Root, train: Train) -> None:
    """A training that ran out of memory begins again as the next attempt of its run: each step is told of once."""
    begun = []

    class OutOfMemory(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            begun.append(state)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if len(begun) == 1 and state.global_step == 6:
                raise RuntimeError("CUDA out of memory. Tried to allocate")

    train(callbacks=[OutOfMemory()], auto_find_batch_size=True)
    run = root.only()
    assert (len(begun), run["attempts"]) == (2, 2)
    for key in ("optim/lr", "progress/micro_step", "loss"):
        assert run["points"](key)["attempt"] == [2] * len(run["points"](key)["step"])
    assert run["points"]("optim/lr")["step"] == list(range(1, 11))
    assert not any("@2" in key for key in run["metrics"])


def test_training_is_bit_identical(root: Root, train: Train) -> None:
    """Recorded or not, the same weights come out."""
    plain = train("a", report_to="none").model.state_dict()
    recorded = train("b", callbacks=[RankZeroCallback(watch="all")], report_to="none").model.state_dict()
    assert all((plain[key] == recorded[key]).all() for key in plain)


def test_search_trials_are_runs_of_a_group(root: Root) -> None:
    """Each trial of a hyperparameter search is a run of its own, with its parameters, in the search's group."""
    pytest.importorskip("optuna")
    made = trainer(root.folder / "search", model_init=classifier, max_steps=4, eval_steps=2, save_steps=4)

    def space(trial: Any) -> dict[str, Any]:
        return {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)}

    made.hyperparameter_search(hp_space=space, n_trials=3, direction="minimize", backend="optuna")
    runs = root.runs()
    assert [run["group"] for run in runs] == ["search"] * 3
    assert len({run["config"]["learning_rate"] for run in runs}) == 3
    assert [run["config"]["trial"]["learning_rate"] for run in runs] == [run["config"]["learning_rate"] for run in runs]
    assert all(run["points"]("eval_loss")["step"] == [2, 4] for run in runs)
    assert all(Path(run["summary"]["checkpoint"]).is_dir() for run in runs)
