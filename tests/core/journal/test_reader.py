"""Reading one journal, whole or damaged."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankzero.journal.reader import Batch, JournalReader, last_time, read_records
from rankzero.records import (
    Columns,
    Define,
    End,
    Event,
    Histogram,
    Meta,
    Record,
    Start,
    Summary,
    Text,
    encode,
    encode_rows,
)
from rankzero.records.codec import NONFINITE

START = Start(run="r", project="p", attempt=1, wall=0.0)


def _sample() -> list[bytes]:
    """A journal's lines, of every sort."""
    return [
        encode(START),
        encode(Meta(name='a "quoted"\nname')),
        encode(Columns(id=0, keys=["loss", "lr"])),
        *(encode_rows([[0, step, step * 1000, step / 7, 1e-3]]) for step in range(6)),
        encode_rows([[0, 6, 6000, math.nan, -math.inf]]),
        encode(["h", 6500, 1.25, 6]),
        encode(["h", 6600, 1.5, None]),
        encode(Columns(id=1, keys=["[odd] {key}"], local=True)),
        encode_rows([[1, 7, 7000, 2**40], [0, 7, 7001, True, 0]]),
        encode(Event(t=8000, event="exception", message="]\u20ac}", data={"traceback": "a\nb"})),
        encode(End(t=9000, state="failed", exit_code=1)),
    ]


def _all(path: Path) -> tuple[list[Record], list[list[Any]], list[tuple[int, float, int | None]]]:
    """Everything a fresh reader finds, rows sorted by time."""
    batches = list(JournalReader(path).read())
    rows = [[NONFINITE.get(str(v), v) for v in row] for batch in batches for _, rows in batch.rows for row in rows]
    records = [record for batch in batches for record in batch.records]
    return records, sorted(rows, key=lambda row: row[2]), [beat for batch in batches for beat in batch.beats]


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _merged(batches: list[Batch]) -> dict[tuple[str, ...], list[list[Any]]]:
    found: dict[tuple[str, ...], list[list[Any]]] = {}
    for batch in batches:
        for columns, rows in batch.rows:
            found.setdefault(tuple(columns.keys), []).extend(rows)
    return found


def test_a_whole_journal_is_read(tmp_path: Path) -> None:
    """Records, rows under the columns in force, and beats come back as they were written."""
    batches = list(JournalReader(_write(tmp_path / "j", b"".join(_sample()))).read())
    rows = _merged(batches)
    assert [row[1] for row in rows["loss", "lr"]] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert rows["[odd] {key}",] == [[1, 7, 7000, 2**40]]
    assert batches[0].beats == [(6500, 1.25, 6), (6600, 1.5, None)]
    assert [type(record) for batch in batches for record in batch.records] == [Start, Meta, Event, End]


def test_every_truncation_keeps_what_stands_before(tmp_path: Path) -> None:
    """Cut at any byte, every line before the cut is read, and nothing else."""
    data = b"".join(_sample())
    lines = data.splitlines(keepends=True)
    path = tmp_path / "j"
    for size in range(len(data) + 1):
        whole = data[:size].count(b"\n")
        complete = b"".join(lines[: whole + 1])[:-1] == data[:size] and size < len(data)
        expected = _all(_write(tmp_path / "e", b"".join(lines[: whole + complete])))
        assert repr(_all(_write(path, data[:size]))) == repr(expected), size


@pytest.mark.parametrize("zeros", [1, 100, 3 << 20])
def test_a_tail_of_zeros_is_passed_over(tmp_path: Path, zeros: int) -> None:
    """A tail that a crash filled with zeros, after a whole line or a torn one, hides nothing before it."""
    data = b"".join(_sample())
    expected = repr(_all(_write(tmp_path / "e", data)))
    assert repr(_all(_write(tmp_path / "j", data + b"\0" * zeros))) == expected
    assert repr(_all(_write(tmp_path / "j", data + b"[0,9,90" + b"\0" * zeros))) == expected
    more = encode_rows([[0, 9, 10_000, 1.0, 2.0]])
    assert len(_all(_write(tmp_path / "j", data + b"\0" * zeros + more))[1]) == len(_all(tmp_path / "e")[1]) + 1


@settings(max_examples=150)
@given(
    junk=st.lists(
        st.tuples(
            st.integers(0, 16),
            st.one_of(
                st.binary(max_size=30).map(lambda data: data.replace(b"\n", b" ")),
                st.sampled_from(
                    [b"[0,1", b"]", b"[]", b"[0]", b'["h"]', b'["h",1]', b"{", b"{}", b'{"kind":"new"}', b"null"]
                ),
                st.sampled_from(
                    [b"[0,1,2,3]", b"[0,1.5,2,3,4]", b"[0,1,2,[3],4]", b"[9,1,2,3]", b'{"kind":"end"}', b"[0,1,2,3],4]"]
                ),
            ),
        ),
        max_size=6,
    )
)
def test_garbage_between_lines_hides_nothing(tmp_path: Path, junk: list[tuple[int, bytes]]) -> None:
    """Lines that say nothing are passed over, wherever they stand."""
    lines = _sample()
    expected = repr(_all(_write(tmp_path / "e", b"".join(lines))))
    for place, line in sorted(junk, reverse=True):
        lines.insert(place, line + b"\n")
    assert repr(_all(_write(tmp_path / "j", b"".join(lines)))) == expected


@settings(max_examples=60)
@given(cuts=st.lists(st.integers(0, 10_000), max_size=8))
def test_reading_on_while_it_grows_reads_everything_once(tmp_path: Path, cuts: list[int]) -> None:
    """A reader that looks again and again at a growing journal sees every line exactly once."""
    data = b"".join(_sample())
    path = _write(tmp_path / "j", b"")
    reader = JournalReader(path)
    batches: list[Batch] = []
    for size in [*sorted(cut % len(data) for cut in cuts), len(data)]:
        _write(path, data[:size])
        batches.extend(reader.read())
    assert repr(_merged(batches)) == repr(_merged(list(JournalReader(path).read())))
    assert reader.offset == len(data)


def test_columns_may_be_declared_anew(tmp_path: Path) -> None:
    """Rows belong to the columns that were in force where they stand."""
    data = b"".join(
        [
            encode(Columns(id=0, keys=["a"])),
            encode_rows([[0, 0, 0, 1.0]]),
            encode(Columns(id=0, keys=["b", "c"])),
            encode_rows([[0, 1, 1, 2.0, 3.0], [0, 2, 2, 4.0]]),
        ]
    )
    assert _merged(list(JournalReader(_write(tmp_path / "j", data)).read())) == {
        ("a",): [[0, 0, 0, 1.0]],
        ("b", "c"): [[0, 1, 1, 2.0, 3.0]],
    }


def test_a_file_made_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    """A journal that was deleted and written again, shorter, is not taken for the old one."""
    path = _write(tmp_path / "j", b"".join(_sample()))
    reader = JournalReader(path)
    list(reader.read())
    _write(path, encode(START) + encode(Columns(id=0, keys=["new"])) + encode_rows([[0, 0, 0, 5.0]]))
    assert _merged(list(reader.read())) == {("new",): [[0, 0, 0, 5.0]]}


def test_records_alone(tmp_path: Path) -> None:
    """The quick reading finds the records that describe the run, and when it was last heard of."""
    heavy: list[Record] = [
        Histogram(t=1, step=0, key="h", edges=[0.0, 1.0], counts=[1.0]),
        Text(t=1, step=0, key="t", value="x"),
    ]
    light: list[Record] = [Summary(values={"best": 1}), Define(name="val/*", summary=["min"])]
    data = b"".join(_sample()[:-2]) + b"".join(map(encode, heavy + light)) + encode_rows([[0, 9, 12_345, 0.0, 0.0]])
    records, last = read_records(_write(tmp_path / "j", data + b"[0,10,99999,1"))
    assert records == [START, Meta(name='a "quoted"\nname'), *light]
    assert last == 12_345
    assert read_records(_write(tmp_path / "j", b"")) == ([], 0)
    assert read_records(_write(tmp_path / "j", encode(START)[:-1])) == ([START], 0)


def test_last_time_is_the_latest_of_any_line() -> None:
    """Rows, beats and records all tell the time; other lines do not."""
    lines = [b"[0,1,20,1.0]", b'["h",30,1.0,null]', b'{"kind":"event","t":25,"event":"x"}', b"[0,99]", b"\0\0"]
    assert last_time(lines) == 30


def test_a_million_rows_in_seconds(tmp_path: Path) -> None:
    """A million rows are read in a few seconds of CPU, and damage to one line does not change that."""
    rows = encode_rows([[0, step, step, 0.5, 1.5, 2.5] for step in range(1000)])
    data = encode(START) + encode(Columns(id=0, keys=["a", "b", "c"])) + rows * 500 + b"[0,1\n" + rows * 500
    path = _write(tmp_path / "j", data)
    before = time.process_time()
    assert sum(len(rows) for batch in JournalReader(path).read() for _, rows in batch.rows) == 1_000_000
    assert time.process_time() - before < 12
    os.unlink(path)  # noqa: PTH108 - half a gigabyte of test folders helps nobody
