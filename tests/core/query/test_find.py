"""Naming a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rankzero.errors import UnknownRunError
from rankzero.query import all_runs, find_launch, find_run, open_run
from rankzero.records import Meta

if TYPE_CHECKING:
    from tests.core.conftest import Journals


@pytest.fixture
def root(journals: Journals) -> Journals:
    """Five runs in two projects."""
    journals.writer("aaa11111", name="resnet", at=10)
    journals.writer("aab22222", name="vit", at=20)
    journals.writer("bbb33333", name="vit", at=30)
    journals.writer("ccc44444", "speech", name="conformer", at=5, start={"launch": "tok"})
    journals.writer("ccc44444", "speech", attempt=2, at=99, start={"launch": "tok2"})
    journals.writer("aaa11111", "speech", at=1)
    return journals


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("bbb33333", "bbb33333"),
        ("conformer", "ccc44444"),
        ("speech/ccc44444", "ccc44444"),
        ("speech/conformer", "ccc44444"),
        ("digits/aaa11111", "aaa11111"),
        ("latest", "ccc44444"),
        ("digits/latest", "bbb33333"),
        ("bb", "bbb33333"),
        ("resnet", "aaa11111"),
    ],
)
def test_a_run_is_found(root: Journals, text: str, run: str) -> None:
    """An id, a name, a project with either, the beginning of an id, and `latest` (by its last start) all name a run."""
    assert find_run(root.root, text).id == run


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("resnit", "there is no run 'resnit'; did you mean 'resnet'?"),
        ("bbb33334", "did you mean 'bbb33333'"),
        ("lates", "did you mean 'latest'"),
        ("zzzzzzzz", "`rankzero ls` shows"),
        ("vit", "'vit' names 2 runs; choose one of digits/bbb33333 .vit, crashed, 2025-10-09T08:53., digits/aab22222"),
        ("aa", "'aa' names 3 runs"),
        ("aaa11111", "names 2 runs"),
        ("nowhere/x", "there are no runs in project 'nowhere'"),
    ],
)
def test_what_names_no_run_is_answered_in_one_sentence(root: Journals, text: str, sentence: str) -> None:
    """A wrong or ambiguous name says what was meant or which runs there are."""
    with pytest.raises(UnknownRunError, match=sentence) as caught:
        find_run(root.root, text)
    assert "\n" not in str(caught.value)


def test_an_empty_root_says_how_to_name_another(journals: Journals) -> None:
    """Where nothing was recorded the sentence names the folder and how to choose it."""
    with pytest.raises(UnknownRunError, match=r"there are no runs under .*--dir or RANKZERO_DIR"):
        find_run(journals.root, "latest")


def test_a_renamed_run_is_found_by_its_new_name_only(journals: Journals) -> None:
    """The name in force counts, even if it was given after a long time."""
    journals.writer("aaa11111", name="old").curve("x", [0.5] * 5000).add(Meta(name="new"))
    assert find_run(journals.root, "new").id == "aaa11111"
    with pytest.raises(UnknownRunError):
        find_run(journals.root, "old")


def test_all_runs_newest_first(root: Journals) -> None:
    """The list has every run, of one project if asked for."""
    assert [view.id for view in all_runs(root.root)] == ["bbb33333", "aab22222", "aaa11111", "ccc44444", "aaa11111"]
    assert [view.id for view in all_runs(root.root, "speech")] == ["ccc44444", "aaa11111"]


def test_the_runs_of_a_launch(root: Journals) -> None:
    """What one `rankzero run` made is found by its token, in any attempt."""
    assert [view.id for view in find_launch(root.root, "tok2")] == ["ccc44444"]
    assert find_launch(root.root, "other") == []


def test_a_reserved_attempt_alone_is_no_run(journals: Journals) -> None:
    """A run that has no journal yet is not listed, and opening it says so."""
    journals.folder().journal.mkdir(parents=True)
    (journals.folder().journal / "0001.attempt").touch()
    assert all_runs(journals.root) == []
    with pytest.raises(UnknownRunError, match="nothing was recorded"):
        open_run(journals.folder())
