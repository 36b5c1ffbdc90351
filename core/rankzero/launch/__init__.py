"""`rankzero run`: the job's environment, what happens inside its processes, and the report of what was recorded."""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Run `rankzero run` with these arguments, the word `run` left out; returns the exit status.

    Does not return where the command was killed by a signal: this process then ends by the same one.
    """
    from rankzero.launch.command import main

    return main(argv)
