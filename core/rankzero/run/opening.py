"""The moment a process knows who it is: it agrees with its job on the run and opens its own journal."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import rankzero.ranks
from rankzero import records
from rankzero.journal import Journal, refused
from rankzero.ranks import Ranks
from rankzero.run.earlier import Earlier, earlier
from rankzero.run.identity import Claim, Wish, agree
from rankzero.store import RunFolder, journal_name
from rankzero.version import __version__

RANK_WAIT = 60.0
"""Seconds a process that may still learn its rank buffers before it takes itself to be alone."""

ALONE_WAIT = 30.0
"""Seconds a process without any launcher waits for its first row: a process group may still be initialised by hand."""

HOLD_WAIT = 120.0
"""Seconds to wait for the first row where a checkpoint may be loaded before it, that says which run it is."""


class Opening:
    """Opens the journal once; called by the recorder until it does."""

    def __init__(self, wish: Wish, *, has_rows: Callable[[], bool], opened: Callable[[Opening, Journal], None]) -> None:
        self.wish = wish
        self.monotonic = time.monotonic()
        self.wall = time.time()
        self.ranks: Ranks | None = None
        self.claim: Claim | None = None
        self.folder: RunFolder | None = None
        self.earlier = Earlier(None, "")
        self._has_rows = has_rows
        self._opened = opened

    def __call__(self, *, force: bool) -> Journal | None:
        """The open journal, or None while this process does not know its rank; see `rankzero.run.recorder.Opener`."""
        ranks = rankzero.ranks.current()
        if not force and not self._is_time(ranks):
            return None
        self.ranks = ranks
        self.claim = claim = self.claim or self._agree(ranks)  # what went wrong after it once may go well the next time
        self.folder = folder = RunFolder(self.wish.root, claim.project, claim.run)
        if claim.resumed:
            self.earlier = earlier(folder, claim.attempt)
        journal = Journal(folder, _writer(folder, claim.attempt, ranks), self._start(ranks, claim))
        self._opened(self, journal)
        return journal

    def _is_time(self, ranks: Ranks) -> bool:
        waited = time.monotonic() - self.monotonic
        if not ranks.certain:
            return waited > RANK_WAIT
        if self.wish.hold:
            return self._has_rows() or waited > HOLD_WAIT
        return ranks.launcher != "alone" or self._has_rows() or waited > ALONE_WAIT

    def _agree(self, ranks: Ranks) -> Claim:
        try:
            return agree(self.wish, ranks)
        except OSError as error:
            refused(self.wish.root, error)
        digest = hashlib.sha256(f"{ranks.job_key}|{self.wish.project}|{self.wish.ordinal}".encode()).hexdigest()
        run = self.wish.run or f"r{digest[:7]}"
        return Claim(self.wish.project, run, ranks.restart + 1, ranks.restart, time.time(), self.wish.launch)

    def _start(self, ranks: Ranks, claim: Claim) -> records.Start:
        return records.Start(
            run=claim.run,
            project=claim.project,
            attempt=claim.attempt,
            rank=ranks.rank,
            world_size=ranks.world_size,
            local_rank=ranks.local_rank,
            local_world_size=ranks.local_world_size,
            node=ranks.node,
            nodes=ranks.nodes,
            launcher=ranks.launcher,
            job=ranks.job_key,
            launch=self.wish.launch,
            wall=self.wall,
            host=os.uname().nodename,
            pid=os.getpid(),
            pid_started=rankzero.ranks.process_started(os.getpid()),
            boot=_boot(),
            clock=self.monotonic,
            version=__version__,
        )


def _boot() -> str:
    """What tells one start of this machine from another; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _writer(folder: RunFolder, attempt: int, ranks: Ranks) -> str:
    """The writer's name: its rank, with the process id where another process claims the same rank of this attempt."""
    name = f"r{ranks.rank}"
    try:
        folder.journal.mkdir(parents=True, exist_ok=True)
        os.close(os.open(folder.journal / journal_name(attempt, name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError:
        return f"{name}-{os.uname().nodename.split('.')[0]}-{os.getpid()}"
    except OSError:
        return name
    return name
