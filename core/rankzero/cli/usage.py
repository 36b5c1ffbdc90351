"""`rankzero usage`: hours and goodput, added up."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankzero import settings
from rankzero.cli.options import Dir, Json, Project, root
from rankzero.errors import UsageError

if TYPE_CHECKING:
    from rankzero.query import RunView
    from rankzero.usage import Budget, Prices, Usage


class By(StrEnum):
    """What hours are added up by."""

    project = "project"
    user = "user"
    day = "day"
    run = "run"


Grouping = Annotated[By, typer.Option("--by", help="Add up by this; days are those of UTC.")]
PriceFile = Annotated[
    Path | None,
    typer.Option("--prices", metavar="FILE", help="A TOML file of prices and budgets; RANKZERO_PRICES if left out."),
]


def usage(
    by: Grouping = By.project,
    project: Project = None,
    prices: PriceFile = None,
    as_json: Json = False,
    folder: Dir = None,
) -> None:
    """Show hours, goodput and, with a price table, money."""
    from rankzero.cli import terminal
    from rankzero.query import all_runs
    from rankzero.usage import grouped, total

    place = root(folder)
    table, budget = _prices(prices)
    views = all_runs(place, project, whole=True)
    pairs = [(key, run, used) for view in views for key, run, used in _shares(view, by)]
    groups = grouped((key, used) for key, _, used in pairs)
    runs = {key: len({run for own, run, _ in pairs if own == key}) for key in groups}
    whole = total(used for _, _, used in pairs)
    rows = [_row(key, runs[key], used, table) for key, used in sorted(groups.items())]
    document = {
        "by": by.value,
        "rows": rows,
        "total": _row("total", len({run for _, run, _ in pairs}), whole, table),
        "budgets": _budgets(whole, table, budget, grouped((view.project, view.usage) for view in views)),
    }
    if as_json:
        terminal.print_json(document)
    elif rows:
        _print(document)
    else:
        terminal.console(stderr=True).print(f"no runs under {place}; name another folder with --dir or RANKZERO_DIR")


def _shares(view: RunView, by: By) -> Iterator[tuple[str, str, Usage]]:
    """A run's usage and the groups it belongs to."""
    run = f"{view.project}/{view.id}"
    if by is By.day:
        yield from ((day, run, used) for day, used in view.timeline.by_day().items())
        return
    keys = {By.project: view.project, By.user: str(view.meta.get("user") or "unknown"), By.run: run}
    yield keys[by], run, view.usage


def _row(key: str, runs: int, used: Usage, prices: Prices | None) -> dict[str, Any]:
    from dataclasses import asdict

    from rankzero.usage import cost

    spent = None if prices is None else asdict(cost(used, prices))
    return {"key": key, "runs": runs, "usage": used.to_json(), "cost": spent}


def _prices(given: Path | None) -> tuple[Prices | None, Budget | None]:
    """The price table and the budget in its [budget] table, as far as there are any.

    Raises:
        UsageError: the file cannot be read or used.
    """
    from rankzero.usage import read_budget, read_prices

    chosen = settings.read().prices
    path = given or (Path(chosen) if chosen else None)
    if path is None:
        return None, None
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the price table {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the price table {path} is no TOML: {error}") from None
    limits = table.pop("budget", None)
    return read_prices(table), None if limits is None else read_budget(limits)


def _budgets(whole: Usage, prices: Prices | None, budget: Budget | None, projects: dict[str, Usage]) -> list[str]:
    """One sentence for each budget that is passed."""
    from rankzero.usage import Budget, cost, exceeded

    found = [] if budget is None else exceeded(budget, whole, None if prices is None else cost(whole, prices))
    hours = settings.read().budget_hours
    for name, used in projects.items() if hours else ():
        limit = Budget(device_hours=hours) if used.device_s else Budget(process_hours=hours)
        found += [f"project {name}: {sentence}" for sentence in exceeded(limit, used)]
    return found


def _print(document: dict[str, Any]) -> None:
    from rankzero.cli import phases, terminal, words

    console = terminal.console()
    priced = document["total"]["cost"] is not None
    names = ["tracked h", "device h", "process h", "per-process h", "stepping", *(["cost"] if priced else [])]
    made = terminal.table(document["by"], "runs", *names, numbers=("runs", *names))
    for row in [*document["rows"], document["total"]]:
        used = row["usage"]
        if row is document["total"]:
            made.add_section()
        made.add_row(
            row["key"],
            str(row["runs"]),
            *(words.hours(used[name]) for name in ("tracked_s", "device_s", "process_s", "per_process_s")),
            f"{phases.share(used['phases'], 'step'):.0%}",
            *([_money(row["cost"])] if priced else []),
        )
    console.print(made)
    console.print()
    console.print(phases.bar(document["total"]["usage"]["phases"], min(console.width, 100)))
    _notes(console, document)


def _notes(console: Any, document: dict[str, Any]) -> None:
    unpriced = (document["total"]["cost"] or {}).get("unpriced", ())
    for kind in unpriced:
        console.print(f"! the price table says nothing about {kind}", style="yellow")
    for sentence in _once([*document["budgets"], *document["total"]["usage"]["warnings"]]):
        console.print(f"! {sentence}", style="yellow")


def _once(sentences: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(sentences))


def _money(spent: dict[str, Any]) -> str:
    return f"{spent['amount']:,.2f} {spent['currency']}"
