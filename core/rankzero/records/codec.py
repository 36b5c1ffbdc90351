"""Lines of a journal to and from bytes."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from rankzero.records.kinds import Histogram, Record

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[list[Any] | Record] = msgspec.json.Decoder(list[Any] | Record)

NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""How the values that JSON lacks stand in a row."""

_MOST_BITS = 14_000
"""Integers beyond these stand as infinities; no float is nearly as large, and Python does not write out many more digits."""


def encode(record: Record | list[Any]) -> bytes:
    r"""One line, its newline included.

    What JSON lacks stays readable: NaN and infinities are spelled as in a row (in a histogram, whose numbers must stay numbers,
    the largest floats and zero stand for them), and what UTF-8 lacks is written like `\\udc80`.
    """
    try:
        line = _encoder.encode(record)
    except UnicodeEncodeError:
        line = b"null"
    if b"null" in line:
        line = _encoder.encode(
            _written_out(msgspec.to_builtins(record), _clamped if isinstance(record, Histogram) else _value)
        )
    return line + b"\n"


def encode_rows(rows: Sequence[list[Any]]) -> bytes:
    """Rows and beats as lines; NaN and infinities survive.

    The whole batch is encoded in one call. JSON has no NaN, the encoder writes null for it; as no row holds None, a null
    in the output is the (rare) sign that the batch must be written with care.
    """
    try:
        lines = _encoder.encode_lines(rows)
    except ValueError:  # an integer of more digits than Python converts
        lines = b"null"
    if b"null" in lines:
        return _encoder.encode_lines([[_value(value) for value in row] for row in rows])
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


def _value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _clamped(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return 0.0 if math.isnan(value) else math.copysign(sys.float_info.max, value)
    return value


def _written_out(value: Any, number: Callable[[Any], Any]) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_written_out(key, number): _written_out(item, number) for key, item in value.items()}
    if isinstance(value, list):
        return [_written_out(item, number) for item in value]
    return number(value)
