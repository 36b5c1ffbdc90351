"""A run's part in this process: the journal of this writer and the chores of its thread."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import rankzero.ranks
from rankzero import records
from rankzero.errors import UsageError, guard
from rankzero.run.chore import Chore
from rankzero.run.earlier import values_at
from rankzero.run.facts.chores import Facts
from rankzero.run.facts.console import Console
from rankzero.run.files import TextFile, put, tolerant
from rankzero.run.opening import Opening
from rankzero.run.recorder import Recorder
from rankzero.run.stacks import Stacks

if TYPE_CHECKING:
    from rankzero.journal import Journal
    from rankzero.ranks import Ranks
    from rankzero.run.exits import Ending
    from rankzero.run.identity import Claim, Wish
    from rankzero.run.signals import SignalWatch
    from rankzero.settings import Settings
    from rankzero.store import RunFolder

SIGNAL_SECONDS = 0.3
CONSOLE_SECONDS = 0.5
STALL_SECONDS = 1.0


class Process:
    """What one process does for one run. `silence` is called when it turns out not to be rank zero."""

    def __init__(self, wish: Wish, settings: Settings, signals: SignalWatch, silence: Callable[[], None]) -> None:
        self.wish = wish
        self.phase = ""
        self._settings = settings
        self._silence = silence
        self._signals = signals
        self._opening = Opening(wish, has_rows=self._has_rows, opened=self._opened)
        self._console = Console() if settings.console else None
        self._console_file: TextFile | None = None
        self._stacks: Stacks | None = None
        self.recorder = Recorder(
            self._opening,
            started=self._opening.monotonic,
            flush_interval=settings.flush_interval,
            beat_interval=settings.heartbeat_interval,
            queue_limit=settings.queue_limit,
        )

    def start(self) -> None:
        """Start recording: the writer thread and, if asked for, what the process prints."""
        if self._console is not None:
            self._console.start()
        self.recorder.start()

    def ranks(self) -> Ranks:
        """Who this process is, as decided, else as it looks now."""
        return self._opening.ranks or rankzero.ranks.current()

    def claim(self) -> Claim:
        """The run and attempt of this process; decides now if that is still open.

        Raises:
            UsageError: in a forked child whose parent had not decided.
        """
        if self._opening.claim is None:
            self.recorder.open(force=True)
        claim = self._opening.claim
        if claim is None:
            raise UsageError(
                "this process was forked before its parent knew its run: ask for the run's id there, before the fork"
            )
        return claim

    def adopt(self, run: str) -> bool:
        """Be a part of the run of this id, if it is still open of which; whether it is one now."""
        claim = self._opening.claim
        if claim is not None:
            return claim.run == run
        self.wish = self._opening.wish = msgspec.structs.replace(self.wish, run=run)
        return True

    def recorded_before(self, keys: Collection[str], step: int) -> dict[str, float]:
        """What attempts before this one last recorded of these metrics for the job, at this step or before."""
        claim = self.claim()
        return values_at(self.run_folder(), claim.attempt, keys, step) if claim.resumed else {}

    def run_folder(self) -> RunFolder:
        """Where the run lies; decides now if that is still open."""
        self.claim()
        folder = self._opening.folder
        if folder is None:
            raise AssertionError("an opened journal has a folder")
        return folder

    def default_name(self) -> str:
        """The name of a run that was given none: its former one, else its script and the beginning of its id."""
        run = self.claim().run
        script = Path(sys.argv[0]).stem if sys.argv and sys.argv[0] not in {"", "-", "-c", "-m"} else "run"
        return self._opening.earlier.name or f"{script}-{run[:4]}"

    def finish(self, ending: Ending, deadline: float) -> None:
        """Close this process's part of the run in the given way, by the deadline (monotonic)."""
        if self._console is not None:
            self._console.stop()

        def end() -> records.End:
            if self._stacks is not None:
                with guard("removing empty stack dumps"):
                    self._stacks.remove()
            own_way_out = ending.state == "finished" or ending.reason in {"sys.exit", "os._exit"}
            state = "preempted" if own_way_out and self._signals.is_terminating() else ending.state
            return records.End(t=self.recorder.micros(), state=state, exit_code=ending.exit_code, reason=ending.reason)

        self.recorder.finish(end, deadline)

    def become_nobody(self) -> None:
        """In a forked child: let go of everything that is the parent's."""
        if self._console is not None:
            self._console.stop()
        if self._stacks is not None:
            self._stacks.uninstall()
        self.recorder.become_nobody()

    def keep_file(self, place: str, copy: Path) -> None:
        """Record a file that was copied into the run's folder."""
        from rankzero.run.saving import digest

        record = records.Media(
            t=self.recorder.micros(),
            step=self.recorder.rows.last_step or 0,
            key=place,
            type="file",
            path=str(copy.relative_to(self.run_folder().path)),
            sha256=digest(copy),
            size=copy.stat().st_size,
        )
        self.recorder.put(record)

    def _has_rows(self) -> bool:
        return any(type(item) is tuple for item in tuple(self.recorder.queue))

    def _opened(self, opening: Opening, journal: Journal) -> None:
        ranks, folder, claim = opening.ranks, opening.folder, opening.claim
        if ranks is None or folder is None or claim is None:
            raise AssertionError("opened before it was decided")
        rows = self.recorder.rows
        rows.media = self._write_media
        if opening.earlier.step is not None:
            rows.next_step = opening.earlier.step + 1
        if ranks.is_zero:
            if not claim.resumed:
                journal.pin(records.Meta(name=self._settings.name or self.default_name()))
        else:
            rows.zero_only = True
            self._silence()
        if journal.writer != f"r{ranks.rank}":
            message = (
                f"a second process of this attempt says that it is rank {ranks.rank}; its time is not counted twice"
            )
            journal.add(records.Event(t=self.recorder.micros(), event="second-rank-zero", message=message))
        stem = journal.path.stem
        self._console_file = TextFile(folder.console / f"{stem}.log")
        self._stacks = Stacks(folder.stacks / f"{stem}.txt", self._settings.stall_after)
        self._set_chores(ranks, folder)

    def _set_chores(self, ranks: Ranks, folder: RunFolder) -> None:
        facts = Facts(self.recorder, self._settings, ranks, folder)
        console, stalls, environment = (
            tolerant(folder.root, call) for call in (self._keep_console, self._look_for_stall, facts.environment)
        )
        once = float("inf")
        self.recorder.chores = [
            Chore("listening for signals", SIGNAL_SECONDS, self._hear_signals, last=True),
            Chore("keeping the console", CONSOLE_SECONDS, console, last=True),
            Chore("watching for stalls", STALL_SECONDS, stalls),
            Chore("describing the environment", once, environment, apart=True, leave=facts.leave),
            Chore("sampling the system", self._settings.system_interval or once, facts.system, apart=True),
        ]

    def _hear_signals(self) -> None:
        for name in self._signals.arrived():
            self.recorder.put(records.Event(t=self.recorder.micros(), event="signal", message=name))

    def _look_for_stall(self) -> None:
        if self._stacks is None:
            return
        self._stacks.install()
        if (seconds := self._stacks.look(self.recorder.rows.last_step)) is not None:
            self._event(
                "stall",
                f"no step for {seconds:.0f} seconds; every thread's stack was kept",
                step=self.recorder.rows.last_step,
            )

    def _keep_console(self) -> None:
        if self._console is not None and self._console_file is not None:
            self._console_file.append(self._console.drain())

    def _write_media(self, record: records.Media, content: bytes) -> None:
        folder = self.run_folder()
        tolerant(folder.root, lambda: put(folder.path / record.path, content))()

    def _event(self, name: str, message: str, **data: Any) -> None:
        self.recorder.add(records.Event(t=self.recorder.micros(), event=name, message=message, data=data))
