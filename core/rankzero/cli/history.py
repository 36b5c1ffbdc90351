"""`rankzero history RUN KEY...`: the exact points of metrics."""

from __future__ import annotations

import contextlib
import csv
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankzero.cli.options import Dir, Json, Rank, RunName, root
from rankzero.errors import MissingDependencyError, UsageError

if TYPE_CHECKING:
    from rankzero.query import RunView

COLUMNS = ("key", "step", "value", "time", "rank", "attempt")
RECENT = 10


class Format(StrEnum):
    """How points are written."""

    csv = "csv"
    json = "json"
    parquet = "parquet"


def history(
    run: RunName,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Metrics, as `rankzero show RUN` names them.")],
    as_json: Json = False,
    form: Annotated[Format | None, typer.Option("--format", help="Write every point in this format.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")] = None,
    rank: Rank = None,
    superseded: Annotated[
        bool, typer.Option("--superseded", help="Also points that a later attempt logged again.")
    ] = False,
    folder: Dir = None,
) -> None:
    """Draw metrics, or write all their points."""
    from rankzero.query import find_key, find_run, points

    view = find_run(root(folder), run)
    found = {find_key(view, key): points(view, key, rank=rank, superseded=superseded) for key in keys}
    if rank is not None and not any(columns["step"] for columns in found.values()):
        ranks = ", ".join(map(str, view.last_attempt.ranks))
        raise UsageError(f"rank {rank} recorded none of these metrics in run {view.name!r}; its ranks are {ranks}")
    form = Format.json if as_json else form
    if form is Format.parquet:
        _parquet(found, output)
    elif form is None and output is None:
        _draw(view, list(found))
    else:
        _text(found, form or Format.csv, output)


def _text(found: dict[str, dict[str, Any]], form: Format, output: Path | None) -> None:
    from rankzero.query.strictjson import dumps

    stream = sys.stdout if output is None else output.open("w", newline="", encoding="utf-8")
    try:
        if form is Format.json:
            stream.write(dumps(found) + "\n")
            return
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for key, columns in found.items():
            rows = zip(*(columns[name] for name in COLUMNS[1:]), strict=True)
            writer.writerows((key, step, _cell(value), f"{t:.6f}", *rest) for step, value, t, *rest in rows)
    finally:
        if stream is not sys.stdout:
            stream.close()


def _cell(value: Any) -> str:
    """A number as Python writes it, exactly; a text as it is, anything else as JSON."""
    from rankzero.query.strictjson import dumps

    if isinstance(value, float):
        return repr(value)
    return value if isinstance(value, str) else dumps(value)


def _parquet(found: dict[str, dict[str, Any]], output: Path | None) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingDependencyError("Parquet needs pyarrow: pip install 'rankzero[parquet]'") from None
    if output is None and sys.stdout.isatty():
        raise UsageError("Parquet is no text: name a file with --output, or send the output elsewhere")
    for key, columns in found.items():
        if not all(isinstance(value, float) for value in columns["value"]):
            raise UsageError(f"{key!r} is no number and cannot be written as Parquet; use --format json")
    types = dict(
        zip(COLUMNS, (pa.string(), pa.int64(), pa.float64(), pa.float64(), pa.int32(), pa.int32()), strict=True)
    )
    values: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for key, columns in found.items():
        values["key"] += [key] * len(columns["step"])
        for name in COLUMNS[1:]:
            values[name] += columns[name]
    made = pa.table({name: pa.array(values[name], types[name]) for name in COLUMNS})
    with contextlib.nullcontext(sys.stdout.buffer) if output is None else output.open("wb") as stream:
        parquet.write_table(made, stream)


def _draw(view: RunView, keys: list[str]) -> None:
    from rich.table import Table

    from rankzero.cli import curves, terminal, words

    console = terminal.console()
    for key in keys:
        if key not in view.metrics:
            entry = view.media[key]
            console.print(f"{key}: {words.count(entry['count'], entry['kind'])}; --format json prints all")
            continue
        metric = view.metrics[key]
        console.print(curves.panel(view, key, min(console.width, 100), 12))
        facts = {"points": metric.count, "min": metric.min, "max": metric.max, "mean": metric.mean, "last": metric.last}
        grid = Table.grid(padding=(0, 2))
        grid.add_row("", *(f"{name} {words.number(value)}" for name, value in facts.items() if value is not None))
        console.print(grid)
        series = view.series(key)
        made = terminal.table("step", "value", "time", "rank", "attempt", numbers=("step", "value", "rank", "attempt"))
        for step, value, t, rank, attempt in list(
            zip(series.step, series.value, series.time, series.rank, series.attempt, strict=True)
        )[-RECENT:]:
            made.add_row(str(step), words.number(value), words.moment(t), str(rank), str(attempt))
        console.print(made)
        if len(series) > RECENT:
            console.print(f"the last {RECENT} of {len(series)} points; --format csv prints all", style="dim")
