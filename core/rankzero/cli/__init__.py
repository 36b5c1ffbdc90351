"""The command line: `rankzero run | ls | show | history | usage | tail | settings | doctor`.

Each command is a file of its own. Other distributions add theirs by the entry point group `rankzero.commands`: the name is the
command's, the object a function that typer can take.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 for what cannot be done, 2 for a wrong command line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["run"]:
        from rankzero.launch import main as run

        return run(arguments[1:])
    from rankzero.cli.app import run_app

    return run_app(arguments)
