"""torchrun, and accelerate's launcher on top of it."""

from __future__ import annotations

import itertools

from rankzero.ranks import processes
from rankzero.ranks.evidence import Evidence, count
from rankzero.ranks.identity import Identity, Restarts, of_leader, of_spread
from rankzero.ranks.place import Launch, Place, place

_AGENTS = ("/torchrun", "torch.distributed.run", "torch/distributed/run.py", "/accelerate")


def torchrun(evidence: Evidence) -> Launch | None:
    """An elastic agent's worker."""
    if not evidence.has("TORCHELASTIC_RUN_ID"):
        return None
    where = place(
        evidence.number("RANK"),
        evidence.number("WORLD_SIZE"),
        local_rank=_local_rank(evidence),
        local_world_size=evidence.number("LOCAL_WORLD_SIZE"),
        node=evidence.number("GROUP_RANK"),
        nodes=evidence.number("GROUP_WORLD_SIZE"),
    )
    if where is None:
        return None
    name = "accelerate" if evidence.has("ACCELERATE_DYNAMO_BACKEND", "ACCELERATE_MIXED_PRECISION") else "torchrun"
    return Launch(name, where, _identity(evidence, where))


def _identity(evidence: Evidence, where: Place) -> Identity:
    """By the agent on one node, by the rendezvous on several or where there may be several later.

    In a dynamic rendezvous (c10d) the agent of the first node opens a store on a port that the system chose, and keeps it
    over restarts. In a static one the id is "none" and the port the user's or 29500: on several nodes nothing tells the next
    job from this one. Restarts are counted by the agent whose worker failed and by no other, so that the nodes' counts differ.
    """
    run, address, port = (evidence.text(name) for name in ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT"))
    met = ("torchrun", run, address, port)
    command = processes.command(processes.ancestor(evidence.origin, _AGENTS))
    is_shared = evidence.text("TORCHELASTIC_USE_AGENT_STORE") == "True"
    backend = _option(evidence, command, "rdzv-backend") or ("static" if command or run == "none" else "c10d")
    is_dynamic = is_shared and backend != "static"
    if where.nodes == 1:
        leader = processes.parent(evidence.origin)
        may_grow = is_dynamic and ":" in _option(evidence, command, "nnodes")
        restarts = Restarts(
            evidence.number("TORCHELASTIC_RESTART_COUNT") or 0, evidence.number("TORCHELASTIC_MAX_RESTARTS") or 0
        )
        return of_leader(evidence, leader, token=met if may_grow else _agent(evidence), restarts=restarts)
    token = met if is_shared or run == "none" else ("torchrun", run)
    identity = of_spread(evidence, token, world=where.nodes, nodes=where.nodes, is_fresh=is_dynamic)
    return identity._replace(attempt=(*identity.attempt, *met))


def _option(evidence: Evidence, command: tuple[str, ...], name: str) -> str:
    """The value of an option of the agent, given in its command line or by a PET_ variable; empty if it is not given."""
    for word, following in itertools.zip_longest(command, command[1:], fillvalue=""):
        option, equals, value = word.lstrip("-").replace("_", "-").partition("=")
        if word.startswith("-") and option == name:
            return value if equals else following
    return evidence.text(f"PET_{name.replace('-', '_').upper()}")


def _agent(evidence: Evidence) -> tuple[str, ...]:
    """The agent's log folder, which it has drawn at random; empty if that is not known."""
    folder, found, _ = evidence.text("TORCHELASTIC_ERROR_FILE").rpartition("/attempt_")
    return ("torchrun", *processes.machine(), folder) if found else ()


def _local_rank(evidence: Evidence) -> int | None:
    """LOCAL_RANK, but as the agent counts: with `--virtual-local-rank` that variable is 0 everywhere."""
    _, found, rest = evidence.text("TORCHELASTIC_ERROR_FILE").rpartition("/attempt_")
    counted = count(rest.partition("/")[2].partition("/")[0]) if found else None
    return evidence.number("LOCAL_RANK") if counted is None else counted
