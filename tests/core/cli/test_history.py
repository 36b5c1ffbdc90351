"""Exact points as files."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.core.cli.conftest import Command
    from tests.core.conftest import Journals

VALUES = [0.1 + 0.2, math.nan, math.inf, -1e-300, 5e-324]


@pytest.fixture
def odd(journals: Journals) -> Journals:
    """A run with values that are easily lost, two ranks, and a second attempt that went back."""
    journals.writer().curve("loss", VALUES)
    journals.writer(rank=1).curve("t", [1.0, 2.0], local=True)
    journals.writer(attempt=2, at=100).rows(["loss"], [(3, 0.5, 7.0)])
    return journals


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_is_exact(odd: Journals, rankzero: Command) -> None:
    """Every value comes back bit by bit from its text."""
    rows = _rows(rankzero("history", "latest", "loss", "t", "--format", "csv"))
    loss = [row for row in rows if row["key"] == "loss"]
    assert repr([float(row["value"]) for row in loss]) == repr([*VALUES[:3], 7.0, VALUES[4]])
    assert loss[0] == {**loss[0], "step": "0", "time": "1760000001.000000", "rank": "0", "attempt": "1"}
    assert [row["rank"] for row in rows if row["key"] == "t"] == ["1", "1"]


def test_superseded_points_on_demand(odd: Journals, rankzero: Command) -> None:
    """Points that a later attempt replaced are there when asked for."""
    rows = _rows(rankzero("history", "latest", "loss", "--format", "csv", "--superseded"))
    assert [(row["attempt"], row["value"]) for row in rows if row["step"] == "3"] == [("1", "-1e-300"), ("2", "7.0")]


def test_one_rank(odd: Journals, rankzero: Command) -> None:
    """--rank keeps only that rank's points."""
    document = rankzero.json("history", "latest", "loss", "t", "--rank", "1")
    assert document["loss"]["step"] == []
    assert document["t"]["value"] == [1.0, 2.0]


def test_files(odd: Journals, rankzero: Command, tmp_path: Path) -> None:
    """With --output the points go to a file, as CSV unless a format is named."""
    path = tmp_path / "points.csv"
    assert rankzero("history", "latest", "t", "-o", str(path)) == ""
    assert len(_rows(path.read_text())) == 2


def test_parquet_is_exact(odd: Journals, rankzero: Command, tmp_path: Path) -> None:
    """Parquet holds the same points with their types."""
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "points.parquet"
    rankzero("history", "latest", "loss", "t", "--format", "parquet", "--output", str(path))
    table = parquet.read_table(path)
    assert repr(table["value"].to_pylist()[:5]) == repr([*VALUES[:3], 7.0, VALUES[4]])
    assert table["key"].to_pylist() == ["loss"] * 5 + ["t"] * 2
    assert [str(field.type) for field in table.schema] == ["string", "int64", "double", "double", "int32", "int32"]
