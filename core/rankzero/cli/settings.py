"""`rankzero settings`: every setting, what is in force, and where it comes from."""

from __future__ import annotations

import os
from typing import Any

from rankzero import settings as all_settings
from rankzero.cli.options import Dir, Json


def settings(as_json: Json = False, folder: Dir = None) -> None:
    """Show every setting and its value.

    With its variable, where the value comes from, and its meaning.
    """
    from rankzero.cli import terminal

    rows = _rows(folder)
    if as_json:
        terminal.print_json(rows)
        return
    made = terminal.table("setting", "variable", "value", "from", "meaning")
    for row in rows:
        made.add_row(row["name"], row["variable"], _shown(row["value"]), row["source"], row["meaning"])
    terminal.console().print(made)


def _rows(folder: Any) -> list[dict[str, Any]]:
    given = None if folder is None else str(folder)
    chosen = all_settings.read().with_overrides(dir=given)
    rows = []
    for name, variable, default, meaning in all_settings.table():
        source = "environment" if variable in os.environ else "default"
        rows.append(
            {
                "name": name,
                "variable": variable,
                "value": getattr(chosen, name),
                "default": default,
                "source": "option" if name == "dir" and given is not None else source,
                "meaning": meaning,
            }
        )
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(value) if isinstance(value, tuple) else str(value)
