"""The code a job runs beside its commit: the uncommitted diff and the untracked text files, secrets left out, bounded in size."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from rankzero.run.facts.git import Git, Patience
from rankzero.run.facts.secrets import scrub_text
from rankzero.settings import Settings

LARGEST_DIFF = 4_000_000
LARGEST_FILE = 500_000
LARGEST_TOTAL = 8_000_000
MOST_FILES = 300
MOST_NAMES = 4_000_000
"""Bytes; the first two and these names are all that is ever read."""

_CODE = {
    ".c", ".cc", ".cfg", ".cpp", ".cu", ".cuh", ".gin", ".h", ".hpp", ".ini", ".ipynb", ".jl", ".json", ".jsonnet", ".lua", ".md",
    ".pbtxt", ".proto", ".py", ".pyi", ".pyx", ".r", ".rs", ".sbatch", ".sh", ".slurm", ".sql", ".toml", ".txt", ".yaml", ".yml",
}  # fmt: skip
_NEVER = [
    ".env", ".env.*", "*.env", ".netrc", "_netrc", ".npmrc", ".pypirc", ".htpasswd", ".git-credentials", "*.pem", "*.key", "*.p12",
    "*.pfx", "*.jks", "*.keystore", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*credential*", "*secret*", "kubeconfig*",
]  # fmt: skip
"""Files whose whole purpose is a secret."""


def save_code(folder: Path, settings: Settings, patience: Patience | None = None) -> dict[str, Any]:
    """Write `diff.patch` and `untracked/...` into `folder`; outside a repository the main script alone.

    Returns:
        diff (bytes kept), untracked (files kept), left_out (up to twenty names of files that were not), or nothing at all.

    Raises:
        OSError: the folder cannot be written.
    """
    git = repository(patience)
    if git.top is None:
        script = _script()
        return {"untracked": _keep([script], script.parent, folder / "untracked")[0]} if script is not None else {}
    facts: dict[str, Any] = {}
    diff = git.diff(LARGEST_DIFF)
    if diff:
        folder.mkdir(parents=True, exist_ok=True)
        text = scrub_text(diff.decode("utf-8", "backslashreplace"))
        (folder / "diff.patch").write_text(text, encoding="utf-8", newline="")
        facts["diff"] = len(diff)
    own = settings.root.resolve()
    paths = [git.top / name for name in git.untracked(MOST_NAMES)]
    wanted = [path for path in paths if not path.resolve().is_relative_to(own)]
    kept, left_out = _keep(sorted(wanted, key=_importance), git.top, folder / "untracked")
    if kept:
        facts["untracked"] = kept
    return {**facts, "left_out": left_out} if left_out else facts


def repository(patience: Patience | None = None) -> Git:
    """The repository of the working directory, else of the main script's folder; its `top` is None where there is none."""
    script = _script()
    try:
        git = Git(Path.cwd(), patience)
    except OSError:
        git = Git(Path("/"), patience)
    return Git(script.parent, patience) if git.top is None and script is not None and not git.describe() else git


def _script() -> Path | None:
    """The main script; None for an interactive session or `-c`."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(path).absolute() if isinstance(path, str) and Path(path).is_file() else None


def _importance(path: Path) -> tuple[bool, int, str]:
    """Code before anything else, what lies high in the tree before what lies deep."""
    return (path.suffix.lower() not in _CODE, len(path.parts), str(path))


def _keep(paths: Iterable[Path], top: Path, target: Path) -> tuple[int, list[str]]:
    """Copy text files below `top` to `target` until a limit is reached; how many, and the names of some that were not."""
    kept = total = 0
    left_out: list[str] = []
    for path in paths:
        text = None if kept >= MOST_FILES or total >= LARGEST_TOTAL else _text_of(path)
        if text is None:
            left_out.append(str(path.relative_to(top)))
            continue
        place = target / path.relative_to(top)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(scrub_text(text), encoding="utf-8", newline="")
        kept += 1
        total += len(text)
    return kept, left_out[:20]


def _text_of(path: Path) -> str | None:
    """A small regular text file's content; None for anything else, links and files of secrets among them."""
    if any(fnmatch(path.name.lower(), pattern) for pattern in _NEVER):
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE or b"\0" in content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None
