"""Run, init and the current run; what this process finds out by itself; how its end is heard."""

from rankzero.run.init import current, init
from rankzero.run.run import Run

__all__ = ["Run", "current", "init"]
