"""What the conformance tests ask a training program to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """One training, small enough to take a second.

    The program learns who it is as any script does: from the launcher's variables (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT).
    What it leaves lies in its working folder: where it finds its own checkpoint there it goes on from it.

    Attributes:
        by_hand: use the integration as its users do by hand (a callback, a logger, `run.watch`); else never mention rankzero.
        steps: the optimizer step with which the training ends, counted from 1, those before a checkpoint included.
        fits: so many trainings, one after the other, in this process, as two users of the framework would write them.
        save_at: save a checkpoint after this step, or after each such number of steps; never if 0.
        fail_at: on rank `fail_rank` raise an error in this step, unless the training went on from a checkpoint; never if 0.
        fail_rank: the rank that fails.
    """

    by_hand: bool = False
    steps: int = 6
    fits: int = 1
    save_at: int = 0
    fail_at: int = 0
    fail_rank: int = 0
