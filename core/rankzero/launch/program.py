"""What the command is, as far as it explains why it did not start, or why nothing was recorded."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

NOT_EXECUTABLE = 126
NOT_FOUND = 127

_ALONE = {"E": "ignores the environment", "I": "isolates itself", "S": "does not run sitecustomize"}


def cannot_start(command: list[str], error: OSError) -> tuple[str, int]:
    """Why a command could not be started and what to do, in a sentence, and the exit status that shells give then."""
    name = command[0]
    found = shutil.which(name)
    script = Path(name)
    if name.endswith(".py") and script.is_file() and found is None:
        return f"{name} is not executable by itself: write `rankzero run python {' '.join(command)}`", NOT_EXECUTABLE
    if script.is_dir():
        return f"{name} is a folder, not a command", NOT_EXECUTABLE
    if found is not None and isinstance(error, FileNotFoundError):
        return f"{found} cannot be started: the interpreter that its first line names does not exist", NOT_FOUND
    if isinstance(error, FileNotFoundError):
        where = "there is no such file" if os.sep in name else "it is in no folder of PATH"
        return f"cannot find the command {name!r}: {where}", NOT_FOUND
    return f"cannot start {name}: {error.strerror}", NOT_EXECUTABLE


def out_of_reach(command: list[str]) -> str:
    """Why the Python that the command starts does not see rankzero, as far as the command shows; empty if it should see it."""
    python = interpreter(command)
    if python is None:
        return ""
    if Path(command[0]).name.startswith("python"):
        for flag in _flags(command[1:]):
            if flag in _ALONE:
                return f"python -{flag} {_ALONE[flag]}, and with it rankzero"
    if not _is_this_environment(python):
        return f"the command runs {python}, and rankzero is installed for {sys.executable}"
    return ""


def interpreter(command: list[str]) -> Path | None:
    """The Python that a command runs: itself, or the one that its script's first line names; None if it is another program."""
    found = shutil.which(command[0])
    if found is None:
        return None
    if Path(found).name.startswith("python"):
        return Path(found)
    try:
        with Path(found).open("rb") as file:
            first = file.readline(512)
    except OSError:
        return None
    words = first[2:].decode(errors="replace").split() if first.startswith(b"#!") else []
    if len(words) > 1 and Path(words[0]).name == "env":
        words = [shutil.which(words[1]) or words[1]]
    return Path(words[0]) if words and Path(words[0]).name.startswith("python") else None


def _flags(arguments: list[str]) -> str:
    """The single-letter options that a Python command line begins with."""
    letters = ""
    for argument in arguments:
        if not argument.startswith("-") or argument.startswith("--") or argument == "-":
            break
        for letter in argument[1:]:
            if letter in "cm":
                return letters
            letters += letter
            if letter in "WX":
                break
    return letters


def _is_this_environment(python: Path) -> bool:
    """Whether an interpreter is one of the environment that rankzero is installed in (or a shim, which may lead there)."""
    if python.parent.resolve() == Path(sys.executable).parent.resolve():
        return True
    try:
        with python.open("rb") as file:
            is_shim = file.read(2) == b"#!"
    except OSError:
        return False
    return is_shim or (python.resolve() == Path(sys.executable).resolve() and sys.prefix == sys.base_prefix)
