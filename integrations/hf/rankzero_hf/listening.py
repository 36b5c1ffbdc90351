"""What PyTorch itself tells about a loop that transformers drives: step times, learning rates, gradients, throughput."""

from __future__ import annotations

from collections.abc import Callable

from rankzero.plugin import started_by_run
from rankzero_pytorch.driving import driving
from rankzero_pytorch.steps import steps
from rankzero_pytorch.zero_change.hooks import listen, loop


def begin(steps_done: Callable[[], int]) -> None:
    """Training begins; `steps_done` says how many optimizer steps lie behind the one under way."""
    driving.steps_done = steps_done
    listen()
    loop.look_again()
    loop.seen.losses.backwards = 0
    loop.seen.samples.restart()


def end() -> None:
    """Training is over; below `rankzero run` other loops of the program may follow, and are heard."""
    driving.steps_done = None
    loop.look_again()
    loop.seen.phases.training()
    if not started_by_run():
        steps.remove(loop)


def interrupted_by(phase: str) -> None:
    """An "evaluation" or a "checkpoint" begins."""
    loop.seen.phases.begin(phase)


def goes_on() -> None:
    """It is over."""
    loop.seen.phases.training()
