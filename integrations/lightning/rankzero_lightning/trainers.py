"""The Trainers of this process, and which of them is at work."""

from __future__ import annotations

import weakref
from typing import Any

from rankzero_lightning.recording import Recording


class Trainers:
    """The Trainers of this process; `current` is the one at work, if it is recorded or its rehearsal must not be."""

    def __init__(self) -> None:
        self.current: Recording | None = None
        self._known: weakref.WeakKeyDictionary[Any, Recording] = weakref.WeakKeyDictionary()
        self._spawning: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._spawned = 0

    def active(self, trainer: Any) -> Recording | None:
        """What is recorded of this Trainer now."""
        recording = self.current
        return recording if recording is not None and recording.active and recording.of(trainer) else None

    def known(self, trainer: Any) -> Recording | None:
        """What was recorded of this Trainer, if anything."""
        return self._known.get(trainer)

    def of_logger(self, logger: Any) -> Recording | None:
        """What is recorded of the Trainer whose first logger this is, the last one that set to work."""
        recordings = [self.current, *reversed(list(self._known.values()))]
        return next((found for found in recordings if found is not None and found.is_told_by(logger)), None)

    def begin(self, trainer: Any, checkpoint: Any) -> None:
        """A Trainer sets to work."""
        recording = self._known.get(trainer)
        if recording is None:
            recording = self._known[trainer] = Recording(trainer)
        self.current = recording
        recording.begin(trainer, checkpoint)

    def part(self, trainer: Any) -> str:
        """What the processes that a Trainer spawns work on: empty for the first one that does, a number for those after it."""
        if trainer not in self._spawning:
            self._spawning[trainer] = f"trainer {self._spawned}" if self._spawned else ""
            self._spawned += 1
        return self._spawning[trainer]

    def end(self) -> None:
        """It is done."""
        recording, self.current = self.current, None
        if recording is not None:
            recording.end()


trainers = Trainers()
"""Of this process."""
