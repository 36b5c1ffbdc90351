"""What PyTorch itself tells about a loop that transformers drives: step times, learning rates, gradients, throughput."""

from __future__ import annotations

from collections.abc import Callable

from rankzero.plugin import guarded, started_by_run
from rankzero_hf import loaders
from rankzero_pytorch.driving import driving
from rankzero_pytorch.steps import steps
from rankzero_pytorch.zero_change.hooks import listen, listen_without, loop


def begin(steps_done: Callable[[], int], *, alone: bool) -> bool:
    """Training begins: the Trainer says itself what its loss is and when it evaluates.

    Args:
        steps_done: how many optimizer steps lie behind the one under way.
        alone: there is one rank, which waits for no other in its backward passes.

    Returns:
        Whether backward passes are not heard, and `trained` is to be called after each.
    """
    driving.steps_done = steps_done
    loop.hear_all()  # one that ran out of memory had no end
    listen()
    loaders.listen()
    counts = listen_without("train", *(("backward", "zero_grad") if alone else ())) and alone
    loop.look_again()
    loop.seen.losses.backwards = int(counts)
    loop.seen.samples.restart()
    return counts


@guarded("recording a training step")
def stepped() -> None:
    """The Trainer's optimizer has stepped, after the last of its batches."""
    loop.stepped()
    loop.seen.losses.backwards += 1


def trained() -> None:
    """The Trainer is through with a batch after which no step comes."""
    loop.seen.losses.backwards += 1


def end(*, counted: bool) -> None:
    """Training is over; below `rankzero run` other loops of the program may follow, and are heard.

    Args:
        counted: what `begin` has said.
    """
    driving.steps_done = None
    loop.seen.losses.backwards -= int(counted)
    loop.hear_all()
    listen_without()
    loop.look_again()
    loop.seen.phases.training()
    if not started_by_run():
        steps.remove(loop)


def interrupted_by(phase: str) -> bool:
    """An "evaluation" or a "checkpoint" begins; whether `goes_on` is to be called when it is over: not inside of another."""
    return loop.seen.phases.begin(phase)


def goes_on() -> None:
    """It is over."""
    loop.seen.phases.end()
