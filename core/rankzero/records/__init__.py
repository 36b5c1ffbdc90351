"""What may be written to a journal: frozen values and their encoding as newline-delimited JSON.

A journal is a text file of lines. A line is one of
- a **row** of metrics, `[columns id, step, t, value, ...]`: the values of one `Columns` record at one step;
- a **beat**, `["h", t, cpu_s, step]`: the writer was alive at `t`, its process had used `cpu_s` seconds of CPU, its last step was `step`;
- an object with a `kind`: one of the classes of `rankzero.records.kinds`.

`t` is whole microseconds of the monotonic clock since the journal's `Start`. NaN and infinities are the strings "NaN", "Infinity"
and "-Infinity" in a row; a text value is a `Text` record, never a string in a row.
"""

from rankzero.records.codec import decode_line, encode, encode_rows
from rankzero.records.kinds import (
    AT_EXIT,
    UNFORESEEN,
    Capture,
    Columns,
    Config,
    Define,
    End,
    Environment,
    Event,
    Histogram,
    Media,
    Meta,
    Phase,
    Record,
    Start,
    Summary,
    Text,
)

__all__ = [
    "AT_EXIT",
    "UNFORESEEN",
    "Capture",
    "Columns",
    "Config",
    "Define",
    "End",
    "Environment",
    "Event",
    "Histogram",
    "Media",
    "Meta",
    "Phase",
    "Record",
    "Start",
    "Summary",
    "Text",
    "decode_line",
    "encode",
    "encode_rows",
]
