"""What rankzero finds out by itself: the environment once, the system every few seconds."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from rankzero import records
from rankzero.run.loading import forks_wait

if TYPE_CHECKING:
    from rankzero.ranks import Ranks
    from rankzero.run.facts.git import Patience
    from rankzero.run.facts.system import Sampler
    from rankzero.run.recorder import Recorder
    from rankzero.settings import Settings
    from rankzero.store import RunFolder


class Facts:
    """Chores of one run. What they need is loaded with the first turn, when the first record has long been written."""

    def __init__(self, recorder: Recorder, settings: Settings, ranks: Ranks, folder: RunFolder) -> None:
        self._recorder = recorder
        self._settings = settings
        self._ranks = ranks
        self._folder = folder
        self._patience: Patience | None = None
        self._sampler: Sampler | None = None
        self._devices = -1

    def environment(self) -> None:
        """Rank zero describes the job's environment and keeps its code."""
        with forks_wait():
            from rankzero.run.facts import environment
            from rankzero.run.facts.git import Patience

        if self._ranks.is_zero:
            self._patience = Patience()
            self._recorder.add(records.Environment(values=environment.collect(self._settings, self._patience)))
            if self._settings.code:
                environment.save_code(self._folder.code, self._settings, self._patience)

    def leave(self) -> None:
        """Make `environment` give up what it still waits for; the run has to end."""
        if self._patience is not None:
            self._patience.end()

    def system(self) -> None:
        """Every rank samples itself, the first rank of a node the node; devices are counted as they come into use."""
        with forks_wait():
            from rankzero.run.facts.environment import devices_in_use
            from rankzero.run.facts.system import Sampler

        if self._sampler is None:
            self._sampler = Sampler(self._ranks)
        sample = self._sampler.sample()
        step = self._recorder.rows.last_step or 0
        if sample and self._settings.system_interval:
            self._recorder.queue.append((monotonic(), step, False, "all", dict(sample)))
        kind, devices = devices_in_use()
        if devices != self._devices:
            self._devices = devices
            self._recorder.add(records.Meta(devices=devices, device_kind=kind or None))
