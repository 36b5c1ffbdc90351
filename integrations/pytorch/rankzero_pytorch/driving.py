"""Who drives the loop, where a framework does: it knows better than PyTorch can tell."""

from __future__ import annotations

from collections.abc import Callable


class Driving:
    """What a framework says about the loop that it drives; nothing while a program drives its own.

    Attributes:
        steps_done: the optimizer steps done before the one under way, in the framework's own count.
        sees_all: its integration sees to everything itself; what listens for programs without one rests.
    """

    def __init__(self) -> None:
        self.steps_done: Callable[[], int] | None = None
        self.sees_all = False


driving = Driving()
"""Of this process."""
