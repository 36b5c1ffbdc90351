"""What can be logged, by hand, in one process: values, keys, steps."""

from __future__ import annotations

import decimal
import fractions
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import rankzero
from rankzero import records
from rankzero.query import open_run


def _logged(root: Any, *calls: Mapping[Any, Any], **options: Any) -> Any:
    run = root.init()
    for data in calls:
        run.log(data, **options)
    run.finish()
    return root.of(run)[0]


def test_a_row_is_recorded_as_logged(root: Any) -> None:
    """Plain numbers come back exactly, a bool as a bool, in order, on steps from zero."""
    rows: list[dict[str, Any]] = [{"loss": 0.1 + 0.2, "epoch": 3}, {"loss": 5e-324, "done": True}, {"big": -(2**63)}]
    assert _logged(root, *rows).rows == list(enumerate(rows))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinities_survive(root: Any, value: float) -> None:
    """A diverged loss is recorded as it is, and so is what stands beside it."""
    ((_, row),) = _logged(root, {"loss": value, "lr": 0.5}).rows
    assert row["loss"] == value or (math.isnan(value) and math.isnan(row["loss"]))
    assert row["lr"] == 0.5


@pytest.mark.parametrize(
    "value", [2**63, 2**64 + 1, -(2**70), 10**400, -(10**400)], ids=["63", "64", "70", "400", "-400"]
)
def test_integers_beyond_64_bits_are_kept(root: Any, value: int) -> None:
    """A huge count is exact in the journal and a float, maybe an infinite one, when read; its row is there."""
    ((_, row),) = _logged(root, {"count": value, "loss": 1.0}).rows
    assert row == {"count": value, "loss": 1.0}
    read = open_run(root.folders[0])
    assert read.series("count").value[0] == (
        float(value) if abs(value) < 2**1000 else math.inf * (1 if value > 0 else -1)
    )
    assert read.series("loss").value[0] == 1.0


@pytest.mark.parametrize(
    ("value", "number"),
    [(decimal.Decimal("0.25"), 0.25), (fractions.Fraction(1, 4), 0.25)],
    ids=["decimal", "fraction"],
)
def test_numbers_of_the_standard_library(root: Any, value: Any, number: float) -> None:
    """Whatever turns itself into a number is one."""
    assert _logged(root, {"x": value}).rows == [(0, {"x": number})]


def test_numpy_scalars_and_single_elements(root: Any) -> None:
    """Scalars of any width, 0-d arrays and arrays of one element are numbers."""
    np = pytest.importorskip("numpy")
    values = {
        "half": np.float16(0.5), "single": np.float32(0.25), "double": np.float64(0.1), "byte": np.uint8(200), "long": np.int64(-3),
        "bool": np.bool_(True), "point": np.array(2.5), "one": np.array([[7.0]]), "nan": np.float32("nan"),
    }  # fmt: skip
    ((_, row),) = _logged(root, values).rows
    assert math.isnan(row.pop("nan"))
    assert row == {
        "half": 0.5, "single": 0.25, "double": 0.1, "byte": 200, "long": -3, "bool": True, "point": 2.5, "one": 7.0
    }  # fmt: skip


def test_torch_scalars_are_taken_as_they_were(root: Any) -> None:
    """A loss with its graph, a bfloat16 and an integer are read later but as they were when logged."""
    torch = pytest.importorskip("torch")
    weight = torch.ones((), requires_grad=True)
    running = torch.tensor(3.0)
    run = root.init()
    run.log(
        {
            "loss": weight * 2,
            "half": torch.tensor(1.5, dtype=torch.bfloat16),
            "n": torch.tensor([4]),
            "running": running,
        }
    )
    running.add_(100)
    run.finish()
    assert root.only.rows == [(0, {"loss": 2.0, "half": 1.5, "n": 4, "running": 3.0})]


def test_jax_scalars(root: Any) -> None:
    """A jax scalar is a number; one inside a traced function costs one warning, never an error."""
    jax = pytest.importorskip("jax")
    run = root.init()

    def step(x: Any) -> Any:
        run.log({"traced": x, "plain": 1.0})
        return x * 2

    run.log({"loss": jax.numpy.float32(0.5)})
    jax.jit(step)(jax.numpy.float32(3.0))
    run.finish()
    assert root.only.rows == [(0, {"loss": 0.5}), (1, {"plain": 1.0})]


def test_texts_and_nested_dicts_and_histograms_and_images(root: Any) -> None:
    """Nested dicts flatten with dots, texts are kept, arrays become histograms, images become files."""
    np = pytest.importorskip("numpy")
    run = root.init()
    run.log(
        {
            "train": {"loss": 1.0, "top": {"1": 0.5}},
            "note": "first",
            "weights": np.arange(10.0),
            "picture": rankzero.Image(np.zeros((4, 5, 3), dtype=np.uint8), caption="black"),
            "both": {"text": "x", "values": [1.0, 2.0]},
        },
        step=7,
    )
    run.finish()
    journal = root.only
    assert journal.rows == [(7, {"train.loss": 1.0, "train.top.1": 0.5})]
    assert {text.key: (text.step, text.value) for text in journal.of(records.Text)} == {
        "note": (7, "first"), "both.text": (7, "x")
    }  # fmt: skip
    assert {found.key: sum(found.counts) for found in journal.of(records.Histogram)} == {
        "weights": 10,
        "both.values": 2,
    }
    media = journal.only(records.Media)
    assert (media.key, media.caption, media.step) == ("picture", "black", 7)
    assert (root.folders[0].path / media.path).read_bytes()[:4] == b"\x89PNG"


class _Odd:
    """Something that no tracker knows."""


class _Trap:
    """Something that fails when looked at as a number."""

    def __float__(self) -> float:
        raise KeyError("no")


class _FailingDeferred:
    """A value that turns out not to be there."""

    def ready(self) -> bool:
        return True

    def value(self) -> float:
        raise LookupError("gone")


@pytest.mark.parametrize(
    "value",
    [_Odd(), _Trap(), None, object, 1j, b"bytes", {}, [], {1, 2}, lambda: 1, [1, "x"]],
    ids=lambda v: type(v).__name__,
)
def test_a_wrong_type_is_one_warning_and_the_rest_is_kept(
    root: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    """What cannot be recorded is named once on stderr; the other values of its rows are all there."""
    monkeypatch.setenv("RANKZERO_STRICT", "0")
    assert _logged(root, *[{"bad": value, "good": index} for index in range(3)]).curve("good") == [
        (0, 0),
        (1, 1),
        (2, 2),
    ]
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rankzero:")]
    assert len(lines) == 1
    assert "'bad'" in lines[0]


def test_a_deferred_value_that_fails_costs_itself_alone(
    root: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later value whose reading raises is named once; the row's other values and all later rows are there."""
    monkeypatch.setenv("RANKZERO_STRICT", "0")
    journal = _logged(root, *[{"bad": _FailingDeferred(), "good": index} for index in range(3)], {"after": 1})
    assert journal.curve("good") == [(0, 0), (1, 1), (2, 2)]
    assert journal.curve("after") == [(3, 1)]
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rankzero:")]
    assert len(lines) == 1
    assert "'bad'" in lines[0]


@pytest.mark.parametrize("data", [3.0, "loss", None, [("loss", 1)]])
def test_log_of_something_else_than_a_dict_is_one_warning(
    root: Any, capsys: pytest.CaptureFixture[str], data: Any
) -> None:
    """The call is ignored, said once, and the run goes on."""
    assert _logged(root, data, data, {"loss": 1.0}).rows == [(0, {"loss": 1.0})]
    assert capsys.readouterr().err.count("rankzero: log() takes a dict") == 1


def test_keys_that_are_no_texts(root: Any) -> None:
    """Any key is written as its text, plain rows and mixed ones alike."""
    rows = _logged(root, {1: 1.0, None: 2.0, ("a", 2): 3.0}, {2.5: "text", 7: 1.0}).rows
    assert rows == [(0, {"1": 1.0, "None": 2.0, "('a', 2)": 3.0}), (1, {"7": 1.0})]


def test_the_users_dict_is_copied(root: Any) -> None:
    """A dict that the loop fills again and again is recorded as it was at each call."""
    run = root.init()
    row: dict[str, Any] = {}
    inner = {"x": 0}
    for value in range(100):
        row["loss"] = inner["x"] = value
        run.log(row)
        run.log({"inner": inner}, step=value)
    run.finish()
    assert [value for _, value in root.only.curve("loss")] == list(range(100))
    assert root.only.curve("inner.x") == [(value, value) for value in range(100)]


def test_ranks_all_is_this_ranks_own(root: Any) -> None:
    """On rank zero too, a row for all ranks is kept apart from the job's series."""
    run = root.init()
    run.log({"loss": 1.0})
    run.log({"wait": 0.1}, ranks="all")
    run.finish()
    assert (root.only.rows, root.only.local) == ([(0, {"loss": 1.0})], [(1, {"wait": 0.1})])


def test_log_after_finish_is_one_warning(root: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A late row is not recorded and says so once; a finished run can be finished again."""
    run = root.init(name="early")
    run.log({"loss": 1.0})
    run.finish()
    run.log({"loss": 2.0})
    run.log({"loss": 3.0}, step=3)
    run.config.update({"late": 1})
    run.finish()
    assert root.of(run)[0].rows == [(0, {"loss": 1.0})]
    assert capsys.readouterr().err.count("log() after finish() of run 'early'") == 1


def test_an_unknown_ranks_argument(root: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A word other than "all" is named once and the row is kept for the job."""
    run = root.init()
    run.log({"loss": 1.0}, ranks="zero")
    run.log({"loss": 2.0}, ranks="zero")
    run.finish()
    assert root.only.curve("loss") == [(0, 1.0), (1, 2.0)]
    assert capsys.readouterr().err.count("ranks='zero'") == 1


def test_media_lie_in_the_runs_folder(root: Any, tmp_path: Path) -> None:
    """A logged file is copied under the run, found by its record."""
    source = tmp_path / "notes.txt"
    source.write_text("hello")
    run = root.init()
    run.log({"notes": rankzero.File(source)})
    run.finish()
    media = root.only.only(records.Media)
    assert (media.type, media.size) == ("file", 5)
    assert (run.dir / media.path).read_text() == "hello"


class _Never:
    """A device value whose kernel never ends."""

    def ready(self) -> bool:
        return False

    def value(self) -> float:
        raise AssertionError("reading it would wait for ever")


def test_a_value_that_never_arrives_costs_itself_alone(root: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The end of the run does not wait for it beyond its time; the rest of its row and all other rows are there."""
    run = root.init(settings={"finish_timeout": 0.5})
    run.log({"stuck": _Never(), "deep": {"stuck": _Never(), "x": 5}, "loss": 1.0})
    run.log({"loss": 2.0})
    begun = time.monotonic()
    run.finish()
    assert time.monotonic() - begun < 2.5
    assert sorted(root.only.curve("loss")) == [(0, 1.0), (1, 2.0)]
    assert root.only.only(records.End).state == "finished"
    assert "'stuck' had not arrived" in capsys.readouterr().err


def test_texts_that_are_no_unicode(root: Any) -> None:
    """A broken file name as key, text, event or config is readable afterwards, and nothing around it is lost."""
    run = root.init(config={"path\udc80": "a\udc80"}, name="n\udc80")
    run.log({"k\udc80": 1.0, "loss": 1.0})
    run.log({"text": "t\udc80", "loss": 2.0})
    run.event("odd", "m\udc80", data={"x\udc80": object()})
    run.finish()
    journal = root.only
    assert journal.curve("loss") == [(0, 1.0), (1, 2.0)]
    assert journal.only(records.Text).value == "t\\udc80"
    assert journal.only(records.Event).message == "m\\udc80"
    assert journal.curve("k\\udc80") == [(0, 1.0)]
