"""Where the time goes between the ends of two batches, by the host's clock."""

from __future__ import annotations

from time import monotonic


class Clock:
    """Told when batches begin and end, and when training is interrupted.

    Attributes:
        input: seconds of the step under way in which the loop waited for data.
        ended: when the last batch did, by `time.monotonic()`; 0 before the first.
    """

    __slots__ = ("_away", "_elsewhere", "_left", "ended", "input")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The next batch is the first."""
        self.input = 0.0
        self.ended = self._left = self._away = self._elsewhere = 0.0

    def begin(self) -> None:
        """A batch is there, if it is not fetched in the middle of the step."""
        if self._left:
            self.input += max(0.0, monotonic() - self._left)
            self._left = 0.0

    def end(self) -> float:
        """A batch was trained on; the seconds since the end of the last one, without interruptions; 0 for the first."""
        now = monotonic()
        spent = now - self.ended - self._elsewhere if self.ended else 0.0
        self.ended, self._elsewhere = now, 0.0
        return spent

    def loop(self) -> None:
        """The callbacks are done: the loop goes for the next batch."""
        self.input = 0.0
        self._left = monotonic()

    def leave(self) -> None:
        """Training is interrupted."""
        self._away = monotonic()
        self._left = 0.0

    def come_back(self) -> float:
        """Training goes on; the seconds of the interruption."""
        away = monotonic() - self._away
        self._elsewhere += away
        return away
