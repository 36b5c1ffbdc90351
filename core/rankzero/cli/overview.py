"""The parts of `rankzero show` that are words and tables. Each takes a run and a width and returns what to print, or None."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rankzero.cli import phases, terminal, words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rankzero.query import RunView

MOST_VALUES = 30
"""Config or summary values shown; the rest is counted."""

LONGEST_VALUE = 28
TRACEBACK_LINES = 30


def header(view: RunView, width: int) -> RenderableType:
    """Name, state, when, on what, and where it lies."""
    attempt = view.last_attempt
    state = f"● {view.state}", f"bold {terminal.STATES[view.state]}"
    title = Text.assemble(state, (f"   {view.name}", "bold"), (f"   {view.project}/{view.id}", "dim"))
    end = time.time() if view.ended is None else view.ended
    ranks = words.count(attempt.world_size, "rank")
    facts = [
        words.moment(view.created),
        f"lasted {words.duration(end - view.created)}",
        ranks if attempt.world_size == 1 else f"{ranks} on {words.count(attempt.nodes, 'node')}",
        *([attempt.launcher] if attempt.launcher != "alone" else []),
        *([f"{len(view.attempts)} attempts"] if len(view.attempts) > 1 else []),
        *([f"exit code {view.exit_code}"] if view.exit_code is not None else []),
    ]
    names = ("user", "group", "job_type", "notes")
    facts += [f"{name.replace('_', ' ')} {view.meta[name]}" for name in names if view.meta.get(name)]
    facts += [f"#{tag}" for tag in view.meta.get("tags") or []]
    parts = [Text(fact if fact == facts[-1] else f"{fact} · ") for fact in facts]
    lines = [title, *terminal.flow(parts, width), Text(f"  {view.folder.path}", "dim")]
    command = view.environment.get("command")
    if command:
        text = " ".join(map(str, command)) if isinstance(command, list) else str(command)
        lines.append(Text(f"  $ {text}", "dim", no_wrap=True, overflow="ellipsis"))
    return Group(*lines, *_attempts(view))


def _attempts(view: RunView) -> Iterable[RenderableType]:
    if len(view.attempts) == 1:
        return
    made = terminal.table("attempt", "state", "started", "lasted", "ranks", "exit", numbers=("lasted", "exit"))
    for attempt in view.attempts:
        end = time.time() if attempt.ended is None else attempt.ended
        made.add_row(
            str(attempt.number),
            Text(attempt.state, terminal.STATES[attempt.state]),
            words.moment(attempt.started),
            words.duration(end - attempt.started),
            str(attempt.world_size),
            "" if attempt.exit_code is None else str(attempt.exit_code),
        )
    yield Text()
    yield Padding(made, (0, 0, 0, 2))


def config(view: RunView, width: int) -> RenderableType | None:
    """Hyperparameters, nested ones with dots."""
    return _values(dict(_flat(view.config)), width)


def summary(view: RunView, width: int) -> RenderableType | None:
    """The values set by hand, and those that a definition asks for."""
    defined = {key: value for key, value in view.summary.items() if isinstance(value, dict)}
    return _values(dict(_flat({**defined, **view.own_summary})), width)


def usage(view: RunView, width: int) -> RenderableType:
    """Hours, and where they went."""
    used = view.usage
    facts = [f"tracked {words.duration(used.tracked_s)}"]
    if used.device_s:
        kinds = ", ".join(filter(None, used.device_kinds))
        facts.append(f"devices {words.duration(used.device_s)}" + (f" ({kinds})" if kinds else ""))
    facts.append(f"processes {words.duration(used.process_s)}")
    parts = [Text(fact if fact == facts[-1] else f"{fact} · ") for fact in facts]
    if view.last_attempt.world_size > 1:
        counted = words.duration(used.per_process_s)
        parts.append(Text(f"   one run per process would have counted {counted}", "dim"))
    return Group(*terminal.flow(parts, width), Padding(phases.bar(used.phases, width - 4), (0, 0, 0, 2)))


def failure(view: RunView, width: int) -> RenderableType | None:
    """Which rank failed first, and its traceback."""
    found = view.first_failure
    if found is None:
        return None
    what = f"{found.type}: {found.message}" if found.type else found.message
    lines = [Text(f"  rank {found.rank} on {found.host or 'an unknown host'}, {words.moment(found.time)}", "red")]
    trace = found.traceback.rstrip().splitlines()
    if len(trace) > TRACEBACK_LINES:
        cut = len(trace) - TRACEBACK_LINES
        trace = [*trace[:2], f"  ... {cut} lines: rankzero show {view.id} --json", *trace[cut + 2 :]]
    return Group(*lines, *(Text(f"  {line}") for line in trace or [what]))


def warnings(view: RunView, width: int) -> RenderableType | None:
    """What is odd about the run."""
    return Group(*(Text(f"  ! {line}", "yellow") for line in view.warnings)) if view.warnings else None


def capture(view: RunView, width: int) -> RenderableType | None:
    """What was recorded without being asked, what was not, and why."""
    if not view.capture:
        return None
    outcomes: dict[str, list[str]] = {}
    for line in view.capture:
        outcomes.setdefault(line.outcome, []).append(f"{line.what} ({line.why})" if line.why else line.what)
    made = Table.grid(padding=(0, 2))
    for outcome in ("recorded", "seen", "off"):
        if outcome in outcomes:
            label = "seen, not recorded" if outcome == "seen" else outcome
            made.add_row(Text(f"  {label}", "dim"), Text(", ".join(dict.fromkeys(outcomes[outcome]))))
    return made


def _values(values: Mapping[str, Any], width: int) -> RenderableType | None:
    """Names and values in as many columns as fit."""
    if not values:
        return None
    shown = [(name, _short(value)) for name, value in list(values.items())[:MOST_VALUES]]
    columns = next((count for count in range(min(4, len(shown)), 1, -1) if _fits(shown, count, width)), 1)
    rows = -(-len(shown) // columns)
    made = Table.grid(padding=(0, 2))
    for row in range(rows):
        cells: list[Text] = []
        for name, value in shown[row::rows]:
            cells += [Text(f"  {name}", "dim"), Text(value)]
        made.add_row(*cells)
    left = len(values) - len(shown)
    return Group(made, Text(f"  and {left} more: --json shows all", "dim")) if left else made


def _fits(shown: list[tuple[str, str]], columns: int, width: int) -> bool:
    """Whether names and values fit into a width in so many columns."""
    rows = -(-len(shown) // columns)
    parts = [shown[start : start + rows] for start in range(0, len(shown), rows)]
    return sum(max(len(n) for n, _ in part) + max(len(v) for _, v in part) + 6 for part in parts) <= width


def _flat(values: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _short(value: Any) -> str:
    text = words.number(value).replace("\n", " ")
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
