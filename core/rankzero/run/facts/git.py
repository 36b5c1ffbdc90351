"""What git says of the folder a job runs in: short questions with timeouts that change nothing and ask nobody."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, Any

from rankzero.run.facts.secrets import scrub_text

TIMEOUT = 10.0
_COMMIT = re.compile(r"^[0-9a-f]{40,64}$")
_QUIET = (
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.quotePath=false",
    "-c",
    "color.ui=false",
)


class Patience:
    """How long git is waited for by those who share it: none any more once somebody has to leave."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()

    @property
    def over(self) -> bool:
        """Whether git is not to be asked any more."""
        return self._over.is_set()

    def end(self) -> None:
        """End what git is doing: it took too long for a run that had to end."""
        self._over.set()
        for process in list(self._running):
            _kill(process)

    def read(self, process: subprocess.Popen[bytes], limit: int) -> bytes | None:
        """What git prints, cut after `limit` bytes; None if it failed or took too long."""
        self._running.add(process)
        deadline = time.monotonic() + TIMEOUT
        try:
            with process:
                output = b"" if self.over else _first(limit, process.stdout, deadline)
                if self.over or len(output) == limit or not _ends(process, deadline):
                    _kill(process)
        finally:
            self._running.discard(process)
        return output if len(output) == limit or process.returncode == 0 else None


class Git:
    """Questions about the repository that `folder` lies in; each answers None where git cannot tell."""

    def __init__(self, folder: Path, patience: Patience | None = None) -> None:
        self.folder = folder
        self._patience = patience or Patience()
        top = self.ask("rev-parse", "--show-toplevel")
        self.top = Path(top) if top else None

    def describe(self) -> dict[str, Any]:
        """Remote (without logins), commit, branch, and whether tracked files differ; empty outside a repository."""
        if self.top is None:
            return _by_hand(self.folder)
        remote = self.ask("config", "--get", "remote.origin.url") or self.ask("ls-remote", "--get-url")
        changed = self.ask("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
        facts = {
            "remote": scrub_text(remote) if remote and remote != "origin" else None,
            "commit": self.ask("rev-parse", "--verify", "HEAD"),
            "branch": self.ask("symbolic-ref", "--short", "-q", "HEAD"),
            "dirty": None if changed is None else bool(changed),
            "root": str(self.top),
        }
        return {name: fact for name, fact in facts.items() if fact is not None}

    def diff(self, limit: int) -> bytes | None:
        """The difference of the tracked files to the last commit, cut after `limit` bytes."""
        against = ["HEAD"] if self.ask("rev-parse", "--verify", "HEAD") else ["--cached"]
        return self.output(limit, "diff", *against, "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")

    def untracked(self, limit: int) -> list[str]:
        """Files that git neither tracks nor ignores, relative to the repository's top; of the first `limit` bytes of names."""
        listing = self.output(limit, "ls-files", "--others", "--exclude-standard", "-z", "--full-name", ":/") or b""
        names = listing.split(b"\0")
        return [os.fsdecode(name) for name in names[:-1] if name]

    def ask(self, *question: str) -> str | None:
        """The one-line answer of a git command, or None if it failed."""
        answer = self.output(1_000_000, *question)
        return None if answer is None else answer.decode("utf-8", "replace").strip()

    def output(self, limit: int, *question: str) -> bytes | None:
        """What a git command prints, cut after `limit` bytes; None if it failed, took too long or there is no git."""
        environ = {
            **os.environ,
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_PAGER": "cat",
            "GIT_NO_LAZY_FETCH": "1",
            "LC_ALL": "C",
        }
        git = shutil.which("git")  # looked up by Popen, it would touch the program's warning filters
        if git is None or self._patience.over:
            return None
        command = [git, *_QUIET, "-C", str(self.folder), *question]
        try:
            process = subprocess.Popen(
                command,
                env=environ,
                process_group=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            return None
        return self._patience.read(process, limit)


def _first(limit: int, pipe: IO[bytes] | None, deadline: float) -> bytes:
    """The first `limit` bytes of what comes through a pipe until it is closed, or before the deadline."""
    output = bytearray()
    if pipe is None:
        return b""
    ready = select.poll()
    ready.register(pipe, select.POLLIN)
    while len(output) < limit and ready.poll(1000 * _left_of(deadline)):
        part = os.read(pipe.fileno(), min(limit - len(output), 65_536))
        if not part:
            break
        output += part
    return bytes(output)


def _ends(process: subprocess.Popen[bytes], deadline: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_left_of(deadline))
        return True
    return False


def _left_of(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End git and whatever it started, which would hold the pipe open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _by_hand(folder: Path) -> dict[str, Any]:
    """Commit and branch from the files of a repository that git is missing for or refuses to look at (another owner)."""
    for parent in [folder, *folder.parents]:
        place = parent / ".git"
        head = _line(place / "HEAD")
        if head is None:
            continue
        facts: dict[str, Any] = {"root": str(parent)}
        if _COMMIT.match(head):
            return {**facts, "commit": head}
        reference = head.removeprefix("ref: ")
        commit = _line(place / reference) or _packed(place / "packed-refs", reference)
        facts["branch"] = reference.removeprefix("refs/heads/")
        return {**facts, "commit": commit} if commit else facts
    return {}


def _line(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline(1000).strip()
    except OSError:
        return None


def _packed(path: Path, reference: str) -> str | None:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return next((line.split()[0] for line in file if line.rstrip().endswith(f" {reference}")), None)
    except OSError:
        return None
