"""How long a rank is busy by itself, told by its accelerator: the host cannot know, since it runs ahead and waits anywhere."""

from __future__ import annotations

import torch


class Gaps:
    """Measures, on the device's own clock, the time from the end of a backward pass to the beginning of the next.

    Gradients are exchanged inside the backward pass, so a device waits for other ranks there. Between two of them it does
    what its own host tells it to; where the host is late, asleep or waiting for input, it idles, and that counts. Nothing
    waits for the device: the events are read by the writer thread when they have happened.

    Attributes:
        device: where backward passes run, None until one has on an accelerator.
    """

    def __init__(self) -> None:
        self.device: torch.device | None = None
        self._last: torch.Event | None = None
        self._pairs: list[tuple[torch.Event, torch.Event]] = []

    def begin(self) -> None:
        """A backward pass begins."""
        if self.device is not None and self._last is not None:
            self._pairs.append((self._last, _event(self.device)))
            self._last = None

    def end(self, device: torch.device) -> None:
        """A backward pass on this accelerator has been queued."""
        self.device = device
        self._last = _event(device)

    def interrupt(self) -> None:
        """What comes between is no training: leave this gap out."""
        self._last = None

    def take(self) -> Busy | None:
        """The gaps since the last call; None without an accelerator."""
        if self.device is None:
            return None
        pairs, self._pairs = self._pairs, []
        return Busy(pairs) if pairs else None


class Busy:
    """Seconds, once the device has come as far: see `rankzero.plugin.Deferred`."""

    def __init__(self, pairs: list[tuple[torch.Event, torch.Event]]) -> None:
        self._pairs = pairs

    def ready(self) -> bool:
        """Whether the device has passed the last event."""
        return self._pairs[-1][1].query()

    def value(self) -> float:
        """Their sum; waits for the device if it must."""
        self._pairs[-1][1].synchronize()
        return sum(start.elapsed_time(end) for start, end in self._pairs) / 1e3


def _event(device: torch.device) -> torch.Event:
    event = torch.Event(device, enable_timing=True)
    event.record()
    return event
