"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from rankzero import settings

Dir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--dir", metavar="FOLDER", help="The root folder of all runs; RANKZERO_DIR or ./.rankzero if left out."
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Project: TypeAlias = Annotated[str | None, typer.Option("--project", metavar="NAME", help="Only runs of this project.")]
RunName: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="An id, a name, project/id, latest, or the beginning of an id.", show_default=False
    ),
]
Rank: TypeAlias = Annotated[int | None, typer.Option("--rank", metavar="N", help="Only this rank's.")]


def root(folder: Path | None) -> Path:
    """The root folder of all runs that a command is to look at.

    Raises:
        SettingError: a RANKZERO_* variable has a value that cannot be used.
    """
    return settings.read().with_overrides(dir=None if folder is None else str(folder)).root
