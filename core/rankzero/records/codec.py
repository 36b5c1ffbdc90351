"""Lines of a journal to and from bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from rankzero.records.kinds import Record

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[list[Any] | Record] = msgspec.json.Decoder(list[Any] | Record)

NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""How the values that JSON lacks stand in a row."""

_LARGEST_INT = 2**63 - 1


def encode(record: Record | list[Any]) -> bytes:
    """One line, its newline included."""
    return _encoder.encode(record) + b"\n"


def encode_rows(rows: Sequence[list[Any]]) -> bytes:
    """Rows and beats as lines; NaN and infinities survive.

    The whole batch is encoded in one call. JSON has no NaN, the encoder writes null for it; as no row holds None, a null
    in the output is the (rare) sign that the batch must be written with care.
    """
    try:
        lines = _encoder.encode_lines(rows)
    except OverflowError:
        return _encoder.encode_lines([_spelled(row) for row in rows])
    if b"null" in lines:
        return _encoder.encode_lines([_spelled(row) for row in rows])
    return lines


def decode_line(line: bytes) -> list[Any] | Record | None:
    """What a line says, or None for a line that is torn, zero-filled or of a kind this version does not know.

    A row comes back as a list whose NaN and infinities are floats again.
    """
    try:
        record = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if isinstance(record, list):
        for index, value in enumerate(record):
            if type(value) is str and index:
                record[index] = NONFINITE.get(value, math.nan)
    return record


def _spelled(row: list[Any]) -> list[Any]:
    return [_value(value) for value in row]


def _value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_INT:
        return float(value) if abs(value) < 2**1023 else ("Infinity" if value > 0 else "-Infinity")
    return value
