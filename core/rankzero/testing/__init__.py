"""For tests of programs that record, and of integrations: run them as real jobs, and look at what was recorded.

`Jobs` runs commands, and functions of a file, as jobs of any number of processes in a folder of their own; `Recorded` is what a
run holds, straight from its journals; `rankzero.testing.conformance` holds the tests that every integration passes. That module
alone needs pytest. Nothing of this package is loaded in the processes of a job.
"""

from rankzero.testing.jobs import Jobs, Outcome
from rankzero.testing.plan import Plan
from rankzero.testing.recorded import Recorded, folders, only

__all__ = ["Jobs", "Outcome", "Plan", "Recorded", "folders", "only"]
