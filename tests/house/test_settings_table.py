"""Every setting is documented."""

from __future__ import annotations

import os
import re
from pathlib import Path

from rankzero import settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
_TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- /table -->)", re.DOTALL)


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return str(default) if default not in ("", ()) else ""


def _table() -> str:
    rows = [
        f"| `{name}` | `{env}` | {_shown(default)} | {meaning} |" for name, env, default, meaning in settings.table()
    ]
    return "\n".join(["| setting | variable | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def test_the_page_holds_the_table_of_the_code() -> None:
    """docs/settings.md lists exactly the settings that exist; `make docs` rewrites it."""
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(_TABLE.sub(lambda _: _table(), page), encoding="utf-8")
        page = PAGE.read_text(encoding="utf-8")
    match = _TABLE.search(page)
    assert match is not None
    assert match[0] == _table()


def test_variables_are_read_in_one_file() -> None:
    """No other module reads a RANKZERO_* variable than settings; errors lies below it, two run before rankzero is loaded."""
    core = Path(settings.__file__).parent
    reader = re.compile(r"""(environ\.get|getenv)\("RANKZERO_|environ\["RANKZERO_\w+"\](?! =)""")
    readers = {
        str(path.relative_to(core)) for path in core.rglob("*.py") if reader.search(path.read_text(encoding="utf-8"))
    }
    early = {"launch/inside.py", "launch/startup/sitecustomize.py"}
    assert readers <= {"settings.py", "errors.py"} | early
