"""docs/cli.md documents every command and every option."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from rankzero.cli.app import make_app

DOCS = Path(__file__).parents[3] / "docs"
COMMANDS: dict[str, Any] = dict(getattr(typer.main.get_command(make_app(others=False)), "commands"))  # noqa: B009


def _section(name: str) -> str:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    match = re.search(rf"^## rankzero {name}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/cli.md has no section on rankzero {name}"
    return match[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    """Each command has a section, and each of its options a line there."""
    section = _section(name)
    options = [text for each in COMMANDS[name].params for text in each.opts if text.startswith("-")]
    assert [text for text in options if f"`{text}" not in section and text != "--help"] == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "run"])
def test_every_command_has_json_a_schema_and_a_root(name: str) -> None:
    """Each command takes --json and --dir, and its page links the schema."""
    options = {text for each in COMMANDS[name].params for text in each.opts}
    assert {"--json", "--dir"} <= options
    assert f"(schema/{name}.json)" in _section(name)


def test_no_option_is_documented_that_does_not_exist() -> None:
    """Options named in a section are those of the command."""
    for name, command in COMMANDS.items():
        known = {text for each in command.params for text in each.opts}
        named = set(re.findall(r"^\| `(--?[a-z]+)", _section(name), re.MULTILINE))
        assert named <= known, name
