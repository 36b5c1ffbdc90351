"""`rankzero doctor`: whether this machine and this Python are ready, one sentence each."""

from __future__ import annotations

from rankzero.cli.options import Dir, Json, root


def doctor(as_json: Json = False, folder: Dir = None) -> None:
    """Check whether this machine is ready to record.

    The root folder, the file system, git, Python, the frameworks, activation and GPUs, a sentence each.
    """
    from dataclasses import asdict

    from rich.text import Text

    from rankzero.cli import terminal
    from rankzero.cli.checks import every_check

    results = every_check(root(folder))
    if as_json:
        terminal.print_json([asdict(result) for result in results])
        return
    made = terminal.table("check", "", "")
    made.show_header = False
    for result in results:
        sign = Text("✓ ok", "green") if result.status == "ok" else Text("! warn", "bold yellow")
        made.add_row(result.check, sign, result.message)
    terminal.console().print(made)
