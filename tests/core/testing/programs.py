"""Functions that the tests of jobs call in other processes."""

from __future__ import annotations

import os
from typing import Any


def who(plan: Any) -> list[Any]:
    """Record something of this rank and something of the job."""
    import rankzero

    run = rankzero.init(config={"number": plan.number})
    run.log({"mine": plan.number}, ranks="all")
    run.log({"ours": plan.number})
    run.finish()
    return [int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")), run.id, run.disabled]


def fails_once() -> str:
    """Fail unless started again."""
    import rankzero

    restart = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    run = rankzero.init()
    run.log({"start": restart})
    if restart == 0:
        raise ValueError("on purpose")
    run.finish()
    return "second"


def fails_on_rank_one() -> None:
    """Fail on one rank while the other takes its time."""
    import time

    if os.environ["RANK"] == "1":
        raise ValueError("no such rank")
    time.sleep(100)


def logs_beside_an_integration() -> None:
    """Log a metric that an integration has recorded at other steps."""
    import rankzero
    from rankzero.plugin import log_aside

    run = rankzero.init()
    log_aside(run, {"loss": 1.0, "grad/norm": 2.0}, step=1)
    run.log({"loss": 0.5})
    run.finish()
    assert run.summary["loss"] == 0.5


def logs_what_arrives_late() -> None:
    """Log a value that is there only when later ones have been written."""
    import rankzero

    class Late:
        def __init__(self) -> None:
            self.there = False

        def ready(self) -> bool:
            return self.there

        def value(self) -> float:
            return 1.0

    late, run = Late(), rankzero.init()
    run.log({"loss": late})
    run.log({"loss": 2.0})
    run.flush()
    late.there = True
    run.finish()
