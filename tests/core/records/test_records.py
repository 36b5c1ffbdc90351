"""Every kind of line comes back as it was written, whatever numbers and texts it holds; damage is never an error."""

from __future__ import annotations

import json
import math
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankzero import records
from rankzero.records import decode_line, encode, encode_rows
from rankzero.records.kinds import Record

TIMES = st.integers(0, 2**53)
STEPS = st.integers(-(2**62), 2**62)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8"))
NUMBERS = st.one_of(FLOATS, st.integers(), st.booleans())
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), FINITE, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)
VALUES = st.dictionaries(TEXTS, PLAIN, max_size=4)
OF_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**53), 2**53),
    float: FINITE,
    str: TEXTS,
    bool: st.booleans(),
    list[str]: st.lists(TEXTS, max_size=4),
    list[float]: st.lists(FINITE, max_size=4),
    dict[str, Any]: VALUES,
}


def _any_of(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    fields = {}
    for field in msgspec.structs.fields(kind):
        options = [part for part in (get_args(field.type) or [field.type]) if part is not type(None)]
        wanted = OF_TYPE[field.type] if field.type in OF_TYPE else st.one_of(st.none(), OF_TYPE[options[0]])
        fields[field.name] = wanted
    return st.builds(kind, **fields)


ANY_RECORD = st.one_of(*map(_any_of, get_args(Record)))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _same(left: Any, right: Any) -> bool:
    return bool(left == right and type(left) is type(right)) or (_is_nan(left) and _is_nan(right))


@given(ANY_RECORD)
@settings(max_examples=300)
def test_every_record_comes_back(record: Record) -> None:
    """One line, one newline, the same record, for all kinds and all texts and numbers."""
    line = encode(record)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode_line(line) == record
    assert json.loads(line)["kind"] == type(record).__struct_config__.tag


@given(st.lists(st.tuples(st.integers(0, 100), STEPS, TIMES, st.lists(NUMBERS, max_size=6)), max_size=30))
@settings(max_examples=300)
def test_rows_come_back(given_rows: list[tuple[int, int, int, list[Any]]]) -> None:
    """Any floats, NaN and infinities too, integers of any size and bools, bit by bit, each row on its line."""
    rows = [[column, step, t, *values] for column, step, t, values in given_rows]
    lines = encode_rows(rows).splitlines()
    assert len(lines) == len(rows)
    for row, line in zip(rows, lines, strict=True):
        found = decode_line(line)
        assert isinstance(found, list)
        assert len(found) == len(row)
        assert all(_same(*pair) for pair in zip(row, found, strict=True)), (row, found)


@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=3), max_size=5))
@settings(max_examples=100)
def test_rows_are_plain_json(given_rows: list[list[Any]]) -> None:
    """Any JSON reader reads them: what JSON lacks is spelled."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    lines = encode_rows([[0, 1, 2, *values] for values in given_rows]).splitlines()
    read = [json.loads(line, parse_constant=refuse) for line in lines]
    assert [len(row) for row in read] == [3 + len(values) for values in given_rows]


def test_an_integer_of_too_many_digits_is_infinite() -> None:
    """And costs nothing else in its batch."""
    lines = encode_rows([[0, 1, 2, 10**5000, 1.5], [0, 2, 3, -(10**5000), math.nan]]).splitlines()
    rows = [decode_line(line) for line in lines]
    assert rows[0] == [0, 1, 2, math.inf, 1.5]
    assert rows[1][:4] == [0, 2, 3, -math.inf]  # type: ignore[index]


@given(TIMES, FLOATS, st.none() | STEPS)
@settings(max_examples=100)
def test_beats_come_back(t: int, cpu: float, step: int | None) -> None:
    """Also before the first step."""
    found = decode_line(encode(["h", t, cpu, step]))
    assert isinstance(found, list)
    assert _same(found[2], cpu)
    assert (found[0], found[1], found[3]) == ("h", t, step)


@given(st.dictionaries(st.text(), st.one_of(FLOATS, st.text()), max_size=4), st.text(), st.text())
@settings(max_examples=200)
def test_what_json_and_utf8_lack_stays_readable(values: dict[str, Any], message: str, key: str) -> None:
    """NaN, infinities and lone surrogates in a record make it neither unreadable nor an error."""
    event = decode_line(encode(records.Event(t=1, event="odd", message=message, data=values)))
    assert isinstance(event, records.Event)
    assert len(event.data) <= len(values)
    text = decode_line(encode(records.Text(t=1, step=2, key=key, value=message)))
    assert isinstance(text, records.Text)
    assert text.value == message.encode("utf-8", "backslashreplace").decode()


@given(st.lists(FLOATS, min_size=1, max_size=5), st.lists(FLOATS, min_size=1, max_size=5))
@settings(max_examples=100)
def test_a_histogram_keeps_numbers(edges: list[float], counts: list[float]) -> None:
    """Infinite edges become the largest floats, the finite ones are exact."""
    found = decode_line(encode(records.Histogram(t=1, step=2, key="h", edges=edges, counts=counts)))
    assert isinstance(found, records.Histogram)
    for before, after in zip(edges + counts, found.edges + found.counts, strict=True):
        assert math.isfinite(after)
        assert after == before or not math.isfinite(before)


@given(ANY_RECORD, st.data())
@settings(max_examples=200)
def test_a_torn_or_overwritten_line_is_no_line(record: Record, data: st.DataObject) -> None:
    """Cut anywhere, or with any byte replaced, a line is a line or nothing, never an error."""
    line = encode(record).rstrip(b"\n")
    cut = data.draw(st.integers(0, len(line) - 1))
    assert decode_line(line[:cut]) is None
    damaged = bytearray(line)
    damaged[cut] = data.draw(st.integers(0, 255))
    decode_line(bytes(damaged))


@pytest.mark.parametrize(
    "line",
    [b"", b"\0\0\0", b"null", b"3", b'"text"', b'{"kind":"tomorrow","t":1}', b"{}", b"\xff\xfe", b"[1,2", b"NaN"],
)
def test_what_is_no_line_of_ours(line: bytes) -> None:
    """A later version's kinds, padding and garbage are passed over."""
    assert decode_line(line) is None


def test_defaults_are_left_out_of_a_line() -> None:
    """A line holds what was said and no more."""
    assert encode(records.Meta(name="x")) == b'{"kind":"meta","name":"x"}\n'
