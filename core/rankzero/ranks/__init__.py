"""Which process of which job this is.

`current()` answers from the strongest evidence there is at the moment it is called: an initialised process group, over the
launcher's environment, over "alone". It talks to nobody, starts nothing and imports no framework: a group is looked for only
in modules that the program has imported itself.

    decide       the order of the evidence
    live         process groups that are initialised
    launchers    the launchers' variables, one function each, in order of precedence
    slurm        what Slurm says about a job and a step
    identity     job keys and attempt keys
    processes    identities and command lines of processes
    evidence     what there is to read
"""

from rankzero.ranks.decide import Ranks, current, decide
from rankzero.ranks.identity import PART
from rankzero.ranks.processes import process_started

__all__ = ["PART", "Ranks", "current", "decide", "process_started"]
