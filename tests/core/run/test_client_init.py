"""init(): its arguments, several runs, resume, modes, and the module's own functions."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rankzero
from rankzero import records
from rankzero.errors import SettingError, UsageError
from rankzero.query import open_run


def _meta(journal: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for meta in journal.of(records.Meta):
        merged.update((name, getattr(meta, name)) for name in meta.__struct_fields__ if getattr(meta, name) is not None)
    return merged


def test_what_init_is_told_is_kept(root: Any) -> None:
    """Names, tags, notes and config are on the run, in its journal, and read back."""
    run = root.init(
        project="p1", name="first", id="my-id", tags=["a", "b"], group="sweep", job_type="eval", notes="why", config={"lr": 0.1}
    )  # fmt: skip
    run.log({"loss": 1.0})
    assert (run.project, run.name, run.id, run.group, run.job_type, run.notes) == (
        "p1",
        "first",
        "my-id",
        "sweep",
        "eval",
        "why",
    )
    assert (run.tags, run.state, run.rank, run.resumed, run.disabled) == (("a", "b"), "running", 0, False, False)
    assert run.dir == root.path / "p1" / "my-id"
    assert run.url.startswith("file://")
    run.finish()
    assert run.state == "finished"
    told = {"name": "first", "group": "sweep", "job_type": "eval", "tags": ["a", "b"], "notes": "why"}
    assert _meta(root.only).items() >= told.items()
    read = open_run(root.folders[0])
    assert (read.name, read.project, read.id, read.config, read.state) == (
        "first",
        "p1",
        "my-id",
        {"lr": 0.1},
        "finished",
    )


def test_defaults(root: Any) -> None:
    """Without any argument there is a project, a fresh id and a name that says where the run came from."""
    run = root.init()
    assert (run.project, len(run.id), run.group, run.tags) == ("default", 8, "", ())
    assert run.name.endswith(f"-{run.id[:4]}")
    run.finish()
    assert _meta(root.only)["name"] == run.name


@pytest.mark.parametrize("script", ["", "-", "-c", "-m"])
def test_a_program_without_a_script(root: Any, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Read from standard input, given in the command line: its run has a name that commands take for one."""
    monkeypatch.setattr(sys, "argv", [script])
    run = root.init()
    assert run.name == f"run-{run.id[:4]}"


def test_setters(root: Any) -> None:
    """Name, tags and notes can be set at any time; the last word counts, and an empty one clears."""
    run = root.init(name="before", tags=["x"], notes="old")
    run.name, run.tags, run.notes = "after", ("y", "z"), "new"
    assert (run.name, run.tags, run.notes) == ("after", ("y", "z"), "new")
    run.tags, run.notes = (), ""
    assert (run.tags, run.notes) == ((), "")
    run.finish()
    assert _meta(root.only).items() >= {"name": "after", "tags": [], "notes": ""}.items()


@pytest.mark.parametrize(
    ("name", "value", "field", "kept"),
    [
        ("RANKZERO_PROJECT", "envp", "project", "envp"),
        ("RANKZERO_RUN_ID", "envid", "id", "envid"),
        ("RANKZERO_NAME", "envname", "name", "envname"),
        ("RANKZERO_GROUP", "g", "group", "g"),
        ("RANKZERO_JOB_TYPE", "j", "job_type", "j"),
        ("RANKZERO_TAGS", "a, b", "tags", ("a", "b")),
        ("RANKZERO_NOTES", "n", "notes", "n"),
    ],
)
def test_variables_stand_in_for_arguments(
    root: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str, field: str, kept: Any
) -> None:
    """A RANKZERO_* variable has the effect of the argument, and the argument wins over it."""
    monkeypatch.setenv(name, value)
    run = root.init()
    assert getattr(run, field) == kept
    run.finish()
    given: Any = ["mine"] if field == "tags" else "mine"
    run = root.init(**{field: given})
    assert getattr(run, field) == (("mine",) if field == "tags" else "mine")


def test_the_settings_argument(root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any setting can be given by name; it wins over the variable and loses to the argument of its own."""
    monkeypatch.setenv("RANKZERO_GROUP", "variable")
    run = root.init(settings={"group": "setting", "notes": "setting", "heartbeat_interval": 0.25}, notes="argument")
    assert (run.group, run.notes, run.settings.heartbeat_interval) == ("setting", "argument", 0.25)


def test_dir_comes_from_the_variable_or_the_working_directory(root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """RANKZERO_DIR names the root; without it runs lie in .rankzero of the working directory, also after a chdir."""
    monkeypatch.chdir(root.folder)
    monkeypatch.setenv("RANKZERO_DIR", str(root.folder / "env"))
    run = rankzero.init(settings={"code": False})
    run.log({"x": 1})
    run.finish()
    assert run.dir.parent.parent == root.folder / "env"
    monkeypatch.delenv("RANKZERO_DIR")
    run = rankzero.init(settings={"code": False})
    (root.folder / "elsewhere").mkdir()
    monkeypatch.chdir(root.folder / "elsewhere")
    run.log({"x": 1})
    run.finish()
    assert run.dir.parent.parent == root.folder / ".rankzero"
    assert not (root.folder / "elsewhere" / ".rankzero").exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"mode": "sometimes"}, "write one of on, disabled"),
        ({"resume": "maybe"}, "write one of allow, never, must, auto"),
        ({"reinit": "again"}, "write one of finish_previous, return_previous, create_new"),
        ({"settings": {"speed": 3}}, "there is no setting 'speed'"),
        ({"settings": {"heartbeat_interval": "soon"}}, "write a number of seconds"),
        ({"settings": {"flush_interval": -1}}, "write a number of seconds"),
        ({"settings": {"flush_interval": "nan"}}, "write a number of seconds"),
        ({"settings": {"heartbeat_interval": "inf"}}, "write a number of seconds"),
        ({"settings": {"queue_limit": "many"}}, "write a whole number"),
        ({"settings": {"console": "perhaps"}}, "write on or off"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_a_sentence(
    root: Any, given: dict[str, Any], sentence: str
) -> None:
    """Init says which value it cannot use and what to write; no run is left open."""
    with pytest.raises(SettingError, match=sentence):
        root.init(**given)
    assert rankzero.run is None


def test_a_variable_that_cannot_be_used_is_refused_by_name(root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the variable."""
    monkeypatch.setenv("RANKZERO_FLUSH_INTERVAL", "fast")
    with pytest.raises(SettingError, match="RANKZERO_FLUSH_INTERVAL='fast' cannot be used: write a number of seconds"):
        root.init()


@pytest.mark.parametrize(
    "given", [{"project": "a/b"}, {"project": ".."}, {"project": ".jobs"}, {"id": "a b"}, {"id": "x" * 200}]
)
def test_a_name_that_can_be_no_folder(root: Any, given: dict[str, Any]) -> None:
    """A project or id goes nowhere but into its own folder."""
    with pytest.raises(UsageError, match="cannot be a"):
        root.init(**given)
    assert rankzero.run is None
    assert not root.path.exists()


def test_arguments_of_other_trackers_are_named_once(root: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown argument does not stop the training; it is named once."""
    for _ in range(2):
        root.init(entity="team", anonymous="allow").finish()
    assert capsys.readouterr().err.splitlines() == [
        "rankzero: init(entity=...) is not known and was ignored",
        "rankzero: init(anonymous=...) is not known and was ignored",
    ]


@pytest.mark.parametrize("finish", [True, False], ids=["finished", "left-open"])
def test_one_run_after_another_stays_apart(root: Any, finish: bool) -> None:
    """A loop over seeds makes a run each, with or without finish(), each with its own rows, config and steps."""
    runs = []
    for seed in range(5):
        run = root.init(config={"seed": seed})
        for step in range(3):
            rankzero.log({"x": 10 * seed + step})
        rankzero.summary["seed"] = seed
        runs.append(run)
        if finish:
            rankzero.finish()
    rankzero.finish()
    assert len({run.id for run in runs}) == 5
    for seed, run in enumerate(runs):
        (journal,) = root.of(run)
        assert journal.curve("x") == [(step, 10 * seed + step) for step in range(3)]
        assert journal.only(records.Config).values == {"seed": seed}
        assert journal.only(records.Summary).values == {"seed": seed}
        assert journal.only(records.End).state == "finished"


def test_several_runs_at_once(root: Any) -> None:
    """With reinit="create_new" runs live beside each other; the module's functions mean the last one."""
    runs = [root.init(reinit="create_new") for _ in range(3)]
    assert rankzero.run is runs[2]
    for index in range(30):
        runs[index % 3].log({"x": index})
    for run in reversed(runs):
        run.finish()
    for number, run in enumerate(runs):
        assert root.of(run)[0].curve("x") == [(step, 3 * step + number) for step in range(10)]


def test_return_previous(root: Any) -> None:
    """reinit="return_previous" gives the open run again, and a new one once that is finished."""
    first = root.init()
    assert root.init(reinit="return_previous", config={"more": 1}) is first
    assert first.config["more"] == 1
    first.finish()
    assert root.init(reinit="return_previous") is not first


def test_the_context_manager(root: Any) -> None:
    """Leaving the block ends the run; an error inside makes it failed, keeps its message, and goes on."""
    with root.init() as run:
        run.log({"x": 1})
    assert run.state == "finished"
    with pytest.raises(ZeroDivisionError), root.init() as bad:
        bad.log({"x": 1 / 0})
    (journal,) = root.of(bad)
    end = journal.only(records.End)
    assert (end.state, end.exit_code) == ("failed", 1)
    event = journal.only(records.Event)
    assert (event.event, event.message, event.data["type"]) == ("exception", "division by zero", "ZeroDivisionError")
    assert "bad.log" in event.data["traceback"]


@pytest.mark.parametrize(
    ("code", "state", "known"),
    [(0, "finished", 0), (None, "finished", 0), (3, "failed", 3), ("no", "failed", 1)],
)
def test_sys_exit_inside_the_block(root: Any, code: Any, state: str, known: int) -> None:
    """Leaving the block by sys.exit ends the run with that code."""

    def train() -> None:
        with root.init() as run:
            run.log({"x": 1})
            sys.exit(code)

    with pytest.raises(SystemExit):
        train()
    end = root.only.only(records.End)
    assert (end.state, end.exit_code) == (state, known)


def test_the_modules_functions_mean_the_current_run(root: Any) -> None:
    """rankzero.log, .config, .summary, .define_metric, .alert, .mark_preempting, .save and .finish are the run's."""
    assert rankzero.run is None
    with pytest.raises(UsageError, match=r"call rankzero\.init"):
        rankzero.log({"x": 1})
    rankzero.finish()
    run = root.init(config={"a": 1})
    assert rankzero.run is run
    rankzero.log({"x": 1})
    rankzero.config.update({"b": 2})
    rankzero.summary["best"] = 3
    rankzero.define_metric("x", summary="max")
    rankzero.alert("hot", "very", level="WARN")
    rankzero.mark_preempting()
    (root.folder / "out.txt").write_text("saved")
    (copied,) = rankzero.save(str(root.folder / "out.txt")) or []
    rankzero.finish()
    assert rankzero.run is None
    journal = root.only
    assert journal.rows == [(0, {"x": 1})]
    assert [config.values for config in journal.of(records.Config)] == [{"a": 1}, {"b": 2}]
    assert [event.event for event in journal.of(records.Event)] == ["alert", "preempting"]
    assert Path(copied).read_text() == "saved"
    assert journal.only(records.Media).path == "files/out.txt"


def test_config_is_a_mapping_with_attributes(root: Any) -> None:
    """Whatever is put into the config is recorded in order; removing is recorded too; a missing key is named."""
    run = root.init(config={"lr": 0.1, "model": {"width": 8}})
    run.config.epochs = 3
    run.config["lr"] = 0.2
    run.config.setdefaults({"lr": 9.0, "seed": 1})
    del run.config["seed"]
    assert dict(run.config) == {"lr": 0.2, "model": {"width": 8}, "epochs": 3}
    assert run.config.model["width"] == 8
    with pytest.raises(AttributeError, match="has no 'momentum'; it has lr, model, epochs"):
        _ = run.config.momentum
    run.finish()
    assert open_run(root.folders[0]).config == {"lr": 0.2, "model": {"width": 8}, "epochs": 3}


def test_an_event_takes_any_data(root: Any) -> None:
    """What an event carries is kept readable, whatever it is."""
    run = root.init()
    run.event("odd", data=object(), path=Path("/x"), nan=float("nan"), name="y")
    run.log({"after": 1})
    run.finish()
    event = root.only.only(records.Event)
    assert event.data["path"] == "/x"
    assert event.data["nan"] == "NaN"
    assert root.only.curve("after") == [(0, 1)]


def test_phases_nest(root: Any) -> None:
    """Leaving an inner phase goes back to the outer one, leaving the outer one to training, also on an error."""
    run = root.init()
    with run.phase("evaluation"):
        with run.phase("checkpoint"):
            pass
        with pytest.raises(KeyError), run.phase("checkpoint"):
            raise KeyError
    run.finish()
    phases = [phase.phase for phase in root.only.of(records.Phase)]
    assert phases == ["evaluation", "checkpoint", "evaluation", "checkpoint", "evaluation", ""]


def test_log_code_and_save(root: Any) -> None:
    """Source files and saved files are copied with their place in the tree."""
    tree = root.folder / "tree"
    (tree / "pkg").mkdir(parents=True)
    (tree / ".hidden").mkdir()
    for path in ("main.py", "pkg/model.py", ".hidden/no.py", "data.bin"):
        (tree / path).write_text(path)
    run = root.init()
    run.log_code(tree)
    saved = run.save(str(tree / "**/*.py"), base_path=tree)
    run.finish()
    code = run.dir / "code"
    assert sorted(str(path.relative_to(code)) for path in code.rglob("*.py")) == ["main.py", "pkg/model.py"]
    assert sorted(Path(path).read_text() for path in saved) == ["main.py", "pkg/model.py"]


def test_the_same_id_in_two_projects(root: Any) -> None:
    """Projects are folders of their own: the same id names two runs."""
    for project in ("p", "q"):
        with root.init(project=project, id="same") as run:
            run.log({"x": project == "p"})
        assert not run.resumed
    assert [(folder.project, folder.run) for folder in root.folders] == [("p", "same"), ("q", "same")]
    assert [journal.rows for journal in root.journals] == [[(0, {"x": True})], [(0, {"x": False})]]


def test_a_run_may_be_held_by_what_is_copied_or_sent(root: Any) -> None:
    """A deep copy of a model that holds the run holds the same run; in another process it is that process's, or a silent one."""
    with root.init() as run:
        assert copy.deepcopy({"run": run})["run"] is run
        assert pickle.loads(pickle.dumps(run)) is run
        sent = pickle.dumps(run)
    there = "import pickle, sys\nrun = pickle.load(sys.stdin.buffer)\nrun.log({'x': 1})\nprint(run.disabled, run.state)"
    told = subprocess.run([sys.executable, "-c", there], input=sent, capture_output=True, check=True, timeout=60)
    assert told.stdout == b"True disabled\n"


def test_a_closed_stderr_is_nobodys_problem(root: Any) -> None:
    """A warning that nobody can read is no error in the loop."""
    code = "import os, sys, rankzero\nsys.stderr.close()\nrun = rankzero.init(entity='x')\nrun.log(3)\nrun.log({'x': object(), 'y': 1})\nsys.exit(4)"
    assert root.run(code, env={"RANKZERO_STRICT": "0"})[0] == 4
    assert root.only.curve("y") == [(0, 1)]


def test_no_thread_to_be_had(root: Any) -> None:
    """Where the system starts no thread, all is written at the end of the run."""
    code = """
import resource, sys, threading
import rankzero
threading.stack_size(1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
run = rankzero.init(settings={"code": False, "packages": False, "queue_limit": 50})
for step in range(100):
    run.log({"x": step})
sys.exit(4)
"""
    code_, _, err = root.run(code)
    assert code_ == 4
    assert err.splitlines()[0].startswith("rankzero: no thread could be started")
    assert root.only.steps == list(range(100))
    assert root.only.only(records.End).exit_code == 4
