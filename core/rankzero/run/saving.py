"""Files and code that the user wants kept with the run: copied at once, so that what is kept is what was meant."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path

from rankzero.store import RunFolder


def save_files(folder: RunFolder, pattern: str, base: Path | None) -> Iterator[tuple[str, Path]]:
    """Copy the files that match a glob into the run's `files/` folder.

    Args:
        folder: the run's folders.
        pattern: a path or a glob, absolute or not.
        base: what the copies' places are relative to; a single file goes to the top, the matches of a glob keep their place
            below the working directory.

    Yields:
        The place below `files/` and the copy.
    """
    root = (base or (Path(pattern).parent if Path(pattern).is_file() else Path.cwd())).absolute()
    for found in sorted(glob(pattern, recursive=True)):  # noqa: PTH207 - the pattern may be absolute
        source = Path(found).absolute()
        if source.is_file():
            place = source.relative_to(root) if source.is_relative_to(root) else Path(source.name)
            yield str(place), _copied(source, folder.files / place)


def save_code(folder: RunFolder, root: Path, patterns: Sequence[str]) -> None:
    """Copy the source files below `root` into the run's `code/` folder; hidden folders are left out."""
    for pattern in patterns:
        for source in sorted(root.rglob(pattern)):
            place = source.relative_to(root)
            if source.is_file() and not any(part.startswith(".") for part in place.parts):
                _copied(source, folder.code / place)


def digest(path: Path) -> str:
    """The SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copied(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
    return target
