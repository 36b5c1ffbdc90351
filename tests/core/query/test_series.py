"""The points of a metric, their statistics and what definitions make of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankzero.errors import UnknownKeyError
from rankzero.query import find_key, open_run, points
from rankzero.query.strictjson import dumps
from rankzero.records import Config, Define, Meta, Summary, Text
from rankzero.testing import Recorded

if TYPE_CHECKING:
    from tests.core.conftest import Journals

WALL = 1_760_000_000.0
INF = math.inf


def test_everything_logged_is_there(journals: Journals) -> None:
    """Repeated, out-of-order, non-finite and negative-step values all come back, sorted by step in order of logging."""
    rows = [(5, 1.0, 1.5), (2, 2.0, math.nan), (5, 3.0, INF), (-1, 4.0, -INF), (2, 5.0, 2), (9, 6.0, 2**53)]
    journals.writer().rows(["loss"], rows)
    series = open_run(journals.folder()).series("loss")
    assert list(series.step) == [-1, 2, 2, 5, 5, 9]
    assert repr(list(series.value)) == "[-inf, nan, 2.0, 1.5, inf, 9007199254740992.0]"
    assert [t - WALL for t in series.time] == [4.0, 2.0, 5.0, 1.0, 3.0, 6.0]
    assert (series.scope, set(series.rank), set(series.attempt)) == ("global", {0}, {1})


def test_rows_with_other_keys_belong_to_the_same_metric(journals: Journals) -> None:
    """A metric logged now alone and now with others is one series."""
    journals.writer().rows(["a", "b"], [(0, 0.0, 1, 2)]).rows(["b"], [(1, 1.0, 3)]).rows(["b", "a"], [(2, 2.0, 4, 5)])
    view = open_run(journals.folder())
    assert view.keys == ["a", "b"]
    assert list(view.series("b").value) == [2, 3, 4]


def test_local_values_of_all_ranks(journals: Journals) -> None:
    """A rank-local metric has every rank's points, marked local."""
    for rank in range(3):
        journals.writer(rank=rank).curve("time/step", [rank, rank + 10], local=True)
    series = open_run(journals.folder()).series("time/step")
    assert (series.scope, list(series.rank), list(series.value)) == ("local", [0, 1, 2] * 2, [0, 1, 2, 10, 11, 12])


def test_the_parts_of_ranks_are_added_up(journals: Journals) -> None:
    """Where ranks recorded parts of a metric it is what they add up to, at the steps at which all of them have one."""
    key, first, second = "grad/norm#sumsq", journals.writer(rank=0), journals.writer(rank=1)
    first.rows([key], [(0, 1, 9.0), (5, 2, 36.0)], local=True, aside=True)
    first.rows([key, "grad/max"], [(8, 3, 1.0, 1.0), (9, 4, 49.0, 1.0)], local=True, aside=True)
    second.rows([key], [(0, 1, 16.0), (5, 2, 64.0), (9, 4, 0.0)], local=True, aside=True)
    later = journals.writer(attempt=2, at=100)
    later.rows(["grad/norm"], [(5, 1, 2.0)], aside=True)
    view = open_run(journals.folder())
    found = view.series("grad/norm")
    assert (list(found.step), list(found.value), list(found.attempt)) == ([0, 5, 9], [5.0, 2.0, 7.0], [1, 2, 1])
    assert list(view.series("grad/norm", superseded=True).value) == [5.0, 10.0, 2.0, 7.0]
    assert (found.scope, view.metrics["grad/norm"].last) == ("global", 7.0)


def test_what_the_program_logged_itself_stands_alone_in_its_attempt(journals: Journals) -> None:
    """An integration's values give way where the program logged the metric, in that attempt and no other."""
    journals.writer().rows(["loss", "grad/norm"], [(0, 0, 10, 1), (7, 1, 11, 2)], aside=True)
    later = journals.writer(attempt=2, at=100).rows(["loss", "grad/norm"], [(8, 0, 12, 3)], aside=True)
    later.rows(["loss"], [(0, 1, 0.5)])
    view = open_run(journals.folder())
    assert list(view.series("loss").value) == [0.5, 11]
    assert list(view.series("grad/norm").value) == [1, 2, 3]
    recorded = Recorded(journals.folder().path)
    assert (recorded.values("loss"), recorded.values("grad/norm")) == ([10, 11, 0.5], [1, 2, 3])


def test_a_later_attempt_supersedes_step_by_step(journals: Journals) -> None:
    """Of a step that was done again the later attempt's values count, all of them; the earlier ones are shown on demand."""
    journals.writer().rows(["loss"], [(0, 0, 10), (1, 1, 11), (2, 2, 12), (2, 3, 12.5), (3, 4, 13)])
    journals.writer(attempt=2, at=100).rows(["loss"], [(2, 0, 22), (2, 1, 22.5), (4, 2, 24)])
    journals.writer(attempt=3, at=200).rows(["loss"], [(4, 0, 34)])
    view = open_run(journals.folder())
    assert list(view.series("loss").value) == [10, 11, 22, 22.5, 13, 34]
    assert list(view.series("loss").attempt) == [1, 1, 2, 2, 1, 3]
    assert list(view.series("loss", superseded=True).value) == [10, 11, 12, 12.5, 22, 22.5, 13, 24, 34]
    assert view.metrics["loss"].count == 6
    assert view.metrics["loss"].mean == pytest.approx((10 + 11 + 22 + 22.5 + 13 + 34) / 6)


def test_ranks_supersede_only_themselves(journals: Journals) -> None:
    """A later attempt with fewer ranks leaves the points of the ranks it has not."""
    for rank in range(2):
        journals.writer(rank=rank).curve("t", [1, 1], local=True)
    journals.writer(attempt=2, at=100).curve("t", [2], local=True)
    series = open_run(journals.folder()).series("t")
    assert list(zip(series.step, series.rank, series.value, strict=True)) == [
        (0, 1, 1),
        (0, 0, 2),
        (1, 0, 1),
        (1, 1, 1),
    ]


def test_statistics(journals: Journals) -> None:
    """Count is of all points; min, max and mean of the finite ones; last is the value at the highest step."""
    journals.writer().rows(["x", "y"], [(0, 0, 3.0, math.nan), (7, 1, 1.0, INF), (4, 2, 5.0, math.nan)])
    document = open_run(journals.folder()).metrics["x"].document()
    assert document == {"count": 3, "min": 1, "max": 5, "mean": 3, "last": 1, "last_step": 7, "scope": "global"}
    y = open_run(journals.folder()).metrics["y"]
    assert (y.count, y.min, y.max, y.mean, y.last) == (3, None, None, None, INF)
    assert '"last":"Infinity"' in dumps(y.document())


@settings(max_examples=60)
@given(
    logged=st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 5), st.floats(width=32)), min_size=1, max_size=40
    )
)
def test_series_against_a_plain_reading(journals: Journals, logged: list[tuple[int, int, int, float]]) -> None:
    """Whatever was logged by whom: the current points are those of the last attempt that logged a rank's step."""
    groups: dict[tuple[int, int], list[tuple[int, int, float]]] = {}
    for t, (attempt, rank, step, value) in enumerate(logged):
        groups.setdefault((attempt, rank), []).append((step, t, value))
    journals.root = journals.root.with_name(f"root{len(list(journals.root.parent.iterdir()))}")
    for (attempt, rank), rows in groups.items():
        journals.writer(attempt=attempt, rank=rank, at=attempt * 100).rows(["v"], rows, local=True)
    last = {(rank, step): max(a for a, r, s, _ in logged if (r, s) == (rank, step)) for _, rank, step, _ in logged}
    current = [
        (step, attempt, rank, t, value)
        for t, (attempt, rank, step, value) in enumerate(logged)
        if last[rank, step] == attempt
    ]
    view = open_run(journals.folder())
    series = view.series("v")
    assert repr(list(series.value)) == repr([value for *_, value in sorted(current, key=lambda point: point[:4])])
    assert len(view.series("v", superseded=True)) == len(logged)
    metric = view.metrics["v"]
    finite = [value for *_, value in current if math.isfinite(value)]
    assert (metric.count, metric.min, metric.max) == (
        len(current),
        min(finite, default=None),
        max(finite, default=None),
    )


def test_definitions_make_the_summary(journals: Journals) -> None:
    """Globs choose summaries, exact names win over globs, values set by hand over all; local metrics stay out."""
    scribe = journals.writer().rows(
        ["loss", "val/acc", "val/f1", "hid"], [(0, 0, 3, 0.1, 0.9, 1), (1, 1, 1, 0.7, 0.2, 2), (2, 2, 2, 0.5, 0.4, 3)]
    )
    scribe.curve("time/step", [1.0], local=True)
    scribe.add(
        Define(name="val/*", summary=["max", "last"], step_metric="loss"),
        Define(name="val/f1", summary=["best", "first", "mean", "min"], goal="maximize"),
        Define(name="hid", summary=["none"]),
        Summary(values={"note": "good", "gone": 1, "loss": -1}),
        Summary(values={}, removed=["gone"]),
        Text(t=1, step=0, key="phase", value="warm"),
    )
    view = open_run(journals.folder())
    assert view.summary == {
        "loss": -1,
        "val/acc": {"max": 0.7, "last": 0.5},
        "val/f1": {"best": 0.9, "first": 0.9, "mean": pytest.approx(0.5), "min": 0.2},
        "note": "good",
        "phase": "warm",
    }
    assert view.define("val/f1").step_metric == "loss"


def test_a_step_metric_is_the_x_axis(journals: Journals) -> None:
    """Points carry the step metric's value of their step, else the latest before it, NaN before the first."""
    scribe = journals.writer().rows(["epoch"], [(1, 0, 0.5), (3, 1, 1.0)]).curve("val/loss", [9, 8, 7, 6, 5])
    scribe.add(Define(name="val/*", step_metric="epoch"))
    document = points(open_run(journals.folder()), "val/loss")
    assert document["x_axis"] == "epoch"
    assert repr(list(document["x"])) == "[nan, 0.5, 0.5, 1.0, 1.0]"


def test_config_and_meta_merge_in_order_and_rank_zero_has_the_last_word(journals: Journals) -> None:
    """Later values replace earlier ones, later attempts' too; what other ranks say stands below rank zero's."""
    journals.writer(name="first").add(Config(values={"lr": 1, "model": {"a": 1}}), Config(values={"lr": 2, "x": 0}))
    journals.writer(rank=1).add(Config(values={"lr": 7, "rank1": True}), Meta(name="other"))
    journals.writer(attempt=2, at=9).add(Config(values={"model": {"b": 2}}, removed=["x"]), Meta(tags=["a"], user="u"))
    view = open_run(journals.folder())
    assert view.config == {"lr": 2, "rank1": True, "model": {"b": 2}}
    assert (view.name, view.meta["tags"], view.meta["user"]) == ("first", ["a"], "u")


def test_an_unknown_metric_is_answered_with_the_nearest(journals: Journals) -> None:
    """A mistyped key is one sentence with the key that was meant."""
    journals.writer(name="n").curve("train/loss", [1]).curve("lr", [1])
    view = open_run(journals.folder())
    assert find_key(view, "lr") == "lr"
    with pytest.raises(UnknownKeyError, match="has no metric 'train/los'; did you mean 'train/loss'"):
        find_key(view, "train/los")
    with pytest.raises(UnknownKeyError, match="it has train/loss, lr"):
        find_key(view, "???")
