"""How the processes of one job agree on one run and one attempt without talking to each other.

Each process knows its job key (`rankzero.ranks`). Whoever comes first writes a claim, a small file that holds the run and the
attempt, under a name made of that key; a hard link makes it appear whole and at most once. All others read it.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import msgspec

from rankzero.errors import ResumeError
from rankzero.ranks import Ranks
from rankzero.records import Start, decode_line
from rankzero.run.earlier import head, tail
from rankzero.run.loading import forks_wait
from rankzero.store import RunFolder, check_name, journal_name, parse_journal_name

STALE_SECONDS = 60.0
"""A claim older than this before the process's start belongs to an earlier job whose key was the same."""

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class Claim(msgspec.Struct, frozen=True):
    """What the processes of one attempt agreed on."""

    project: str
    run: str
    attempt: int
    restart: int
    made: float
    launch: str = ""
    resumed: bool = False


class Wish(msgspec.Struct, frozen=True):
    """What the caller of init() asked for.

    `ordinal` counts the runs of this process: the n-th of each rank are one. With `hold` the first row decides which run it is,
    even in a process that knows its rank: until then a checkpoint may say so.
    """

    root: Path
    project: str
    run: str
    resume: str
    ordinal: int
    launch: str
    started: float
    hold: bool = False


def new_id() -> str:
    """A fresh run id: eight letters and digits, the first a letter."""
    first, *rest = os.urandom(8)
    return _ALPHABET[first % 26] + "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in rest)


def agree(wish: Wish, ranks: Ranks) -> Claim:
    """The run and attempt of this process: those its job already claimed, or new ones claimed now.

    Raises:
        ResumeError: `resume="must"` and there is no such run, or `resume="never"` and there is one.
        OSError: the root cannot be written.
    """
    jobs = wish.root / ".jobs" / _digest(f"{ranks.job_key}|{wish.project}|{wish.run}|{wish.ordinal}")
    jobs.mkdir(parents=True, exist_ok=True)
    stem = _digest(ranks.attempt_key)
    generation = 0
    while True:
        path = jobs / f"{stem}-{generation}.json"
        found = read_claim(path)
        if found is None:
            return _make(path, wish, ranks, _earlier(jobs, ranks))
        if not _is_of_a_former_start(found, wish, ranks):
            return found
        generation += 1


def _is_of_a_former_start(claim: Claim, wish: Wish, ranks: Ranks) -> bool:
    """Whether a claim with this attempt's key was made by an earlier start of the job, or by an earlier job.

    Some keys do not change from one start to the next. What tells is this rank's own journal of the claimed attempt: closed,
    or left by a process that is gone. A journal whose process lives is that of a second process with this rank.
    """
    if not ranks.key_is_process and claim.made < wish.started - STALE_SECONDS:
        return True
    own = RunFolder(wish.root, claim.project, claim.run).journal / journal_name(claim.attempt, f"r{ranks.rank}")
    return own.exists() and _is_gone(own)


def read_claim(path: Path) -> Claim | None:
    """The claim in a file, or None where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Claim)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _make(path: Path, wish: Wish, ranks: Ranks, earlier: Claim | None) -> Claim:
    run = wish.run or (earlier.run if earlier else "") or _unfinished(wish) or new_id()
    check_name("run id", run)
    folder = RunFolder(wish.root, wish.project, run)
    resumed = folder.exists()
    if wish.resume == "must" and not resumed:
        raise ResumeError(f'resume="must", but there is no run {run!r} in project {wish.project!r} under {wish.root}')
    if wish.resume == "never" and resumed and earlier is None:
        raise ResumeError(f'resume="never", but run {run!r} exists in project {wish.project!r}; choose another id')
    attempt = _reserve(folder)
    claim = Claim(wish.project, run, attempt, ranks.restart, time.time(), wish.launch, resumed)
    if _appear(path, msgspec.json.encode(claim)):
        return claim
    _release(folder, attempt, resumed=resumed)
    winner = read_claim(path)
    return winner if winner is not None else claim


def _earlier(jobs: Path, ranks: Ranks) -> Claim | None:
    """The newest claim of this job that this attempt continues, if any."""
    claims = [claim for path in jobs.glob("*-*.json") if (claim := read_claim(path))]
    if not claims:
        return None
    newest = max(claims, key=lambda claim: claim.made)
    return newest if ranks.restart > newest.restart or ranks.key_is_process else None


def _unfinished(wish: Wish) -> str:
    """For resume="auto": the newest run of this project whose rank zero neither finished nor is alive."""
    project = wish.root / wish.project
    if wish.resume != "auto" or not project.is_dir():
        return ""
    newest = sorted(project.glob("*/journal"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in newest:
        attempts = sorted(folder.glob("*-r0.jsonl"))
        if attempts and _is_gone(attempts[-1]) and b'"state":"finished"' not in tail(attempts[-1]):
            return folder.parent.name
    return ""


def _is_gone(journal: Path) -> bool:
    """Whether the journal was closed or its process is gone; a journal that is just being made is not."""
    with forks_wait():
        from rankzero.journal.reader import last_time
        from rankzero.query.alive import is_alive
        from rankzero.query.writer import Writer

    end = tail(journal)
    if b'"kind":"end"' in end:
        return True
    start = decode_line(head(journal).split(b"\n")[0])
    return isinstance(start, Start) and not is_alive(Writer(journal, "", start, latest=last_time(end.split(b"\n"))))


def _reserve(folder: RunFolder) -> int:
    folder.journal.mkdir(parents=True, exist_ok=True)
    taken = [0]
    for path in folder.journal.iterdir():
        if parsed := parse_journal_name(path.name):
            taken.append(parsed[0])
        elif path.suffix == ".attempt" and path.stem.isdigit():
            taken.append(int(path.stem))
    attempt = max(taken) + 1
    while True:
        try:
            os.close(os.open(folder.journal / f"{attempt:04d}.attempt", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            attempt += 1
            continue
        return attempt


def _release(folder: RunFolder, attempt: int, *, resumed: bool) -> None:
    (folder.journal / f"{attempt:04d}.attempt").unlink(missing_ok=True)
    if not resumed:
        for empty in (folder.journal, folder.path):
            try:
                empty.rmdir()
            except OSError:
                return


def _appear(path: Path, content: bytes) -> bool:
    """Make `path` appear whole with `content`; false if it was there already."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    draft.write_bytes(content)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError:
        return _appear_without_links(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _appear_without_links(draft: Path, path: Path) -> bool:
    """On a file system without hard links a folder decides who comes first, and a rename shows the claim whole."""
    try:
        path.with_suffix(".lock").mkdir()
    except FileExistsError:
        return False
    draft.replace(path)
    return True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
