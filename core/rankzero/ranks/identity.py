"""Job keys and attempt keys: strings that the processes of one job come to without talking to each other.

A job key is the same on all processes of a job and, where the launcher says enough, over restarts and requeues of that job.
An attempt key is the same on all processes of one start of the job. What goes into them is known to every rank alike: never
the rank, never the command line of a rank (launchers write the rank into it), never anything that a wrapper script changes.
"""

from __future__ import annotations

from typing import NamedTuple

from rankzero.ranks import processes, slurm
from rankzero.ranks.evidence import Evidence

PART = "RANKZERO_PART"
"""A variable that names the part of its program's work that a process started by `multiprocessing` does; see `rankzero.plugin.part`."""

_RANKED_OPTIONS = ("local-rank", "node-rank", "machine-rank", "rdzv-id", "rdzv-endpoint", "master-addr", "master-port")
_LOOPBACK = {"localhost", "::1", "[::1]", "0.0.0.0"}  # noqa: S104 - compared, not bound


class Identity(NamedTuple):
    """What the keys are made of.

    `is_fresh`: no other job can have the same job key, so another attempt with it is a restart of this one.
    `restart`: restarts so far; greater in every later attempt of a job whose key is not fresh.
    """

    job: tuple[str, ...]
    attempt: tuple[str, ...]
    is_fresh: bool
    restart: int = 0

    @property
    def job_key(self) -> str:
        """The job key, 20 hexadecimal digits."""
        return _digest(self.job)

    @property
    def attempt_key(self) -> str:
        """The attempt key, 20 hexadecimal digits."""
        return _digest((*self.job, "attempt", *self.attempt))

    def part(self, name: str) -> Identity:
        """The identity of a part of this job that has a process group to itself."""
        return self._replace(job=(*self.job, "part", name))


class Restarts(NamedTuple):
    """What a launcher says of its own restarts: so many, and at most so many."""

    so_far: int = 0
    limit: int = 0


def of_leader(
    evidence: Evidence, leader: int, *, token: tuple[str, ...] = (), restarts: Restarts | None = None
) -> Identity:
    """Of processes on one machine that share a leader: their agent, their parent, or the one process itself.

    Args:
        evidence: what is known.
        leader: the leader's process id.
        token: what identifies the leader, if the launcher says it; else the process's own identity.
        restarts: what the leader says of its restarts.

    In a batch job the command is what stays when Slurm starts the job again on another machine.
    """
    token = token or ("process", *processes.identity(leader))
    restarts = restarts or Restarts()
    batch = slurm.batch(evidence)
    if batch is None:
        return Identity(token, (str(restarts.so_far),), is_fresh=True, restart=restarts.so_far)
    step = slurm.step(evidence)
    place = (*step.parts, str(step.task)) if step else batch.parts
    return Identity(
        (*place, "command", evidence.text("PWD"), *unranked(processes.command(leader))),
        (*token, str(batch.restarts), str(restarts.so_far)),
        is_fresh=False,
        restart=batch.restarts * (restarts.limit + 1) + restarts.so_far,
    )


def of_group(evidence: Evidence, token: tuple[str, ...], *, is_fresh: bool) -> Identity:
    """Of processes on any number of machines that share no leader but a token that all of them see.

    The batch job around them goes before the token, for it survives a requeue.
    """
    batch = slurm.batch(evidence)
    if batch is None:
        return Identity(token, (), is_fresh=is_fresh)
    return Identity((*batch.parts, "group"), (*token, str(batch.restarts)), is_fresh=False, restart=batch.restarts)


def of_spread(evidence: Evidence, token: tuple[str, ...], *, world: int, nodes: int, is_fresh: bool) -> Identity:
    """Of a group like `of_group`'s whose processes or agents were started one by one, maybe as the tasks of a Slurm step."""
    step = slurm.step(evidence)
    if step and (step.tasks == world > 1 or step.nodes >= nodes > 1):
        return of_step(evidence, step, token)
    return of_group(evidence, token, is_fresh=is_fresh)


def of_step(evidence: Evidence, step: slurm.Step, token: tuple[str, ...] = ()) -> Identity:
    """Of the tasks of a Slurm step."""
    restarts = slurm.restarts(evidence)
    return Identity(step.parts, (*token, str(restarts)), is_fresh=True, restart=restarts)


def of_address(evidence: Evidence, address: str, *, world: int) -> Identity:
    """Of a group of which only the address is known at which it met; a later group may well meet there too."""
    local = is_loopback(address)
    token = ("address", address, *(processes.machine() if local else ()))
    return of_spread(evidence, token, world=world, nodes=1 if local else 2, is_fresh=False)


def is_loopback(address: str) -> bool:
    """Whether `host:port` (or a file's path) can only be reached from this machine."""
    host = address.rpartition(":")[0] or address
    return host.startswith(("127.", "/")) or host in _LOOPBACK


def unranked(command: tuple[str, ...]) -> tuple[str, ...]:
    """A command line without the options that differ between nodes, ranks or restarts."""
    kept: list[str] = []
    skip = False
    for word in command:
        option, equals, _ = word.lstrip("-").replace("_", "-").partition("=")
        if word.startswith("-") and option in _RANKED_OPTIONS:
            skip = not equals
        elif skip:
            skip = False
        else:
            kept.append(word)
    return tuple(kept)


def _digest(parts: tuple[str, ...]) -> str:
    import hashlib

    text = "\0".join(parts).encode(errors="surrogateescape")
    return hashlib.blake2b(text, digest_size=10).hexdigest()
