"""The order of the evidence: a process group, then the launcher's environment, then "alone"."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rankzero.ranks.evidence import Evidence
from rankzero.ranks.identity import PART, Identity, is_loopback, of_address, of_leader
from rankzero.ranks.launchers import launched
from rankzero.ranks.live import Group, group
from rankzero.ranks.place import Launch, Place, place

_ALONE = Place(rank=0, world_size=1, local_rank=0, local_world_size=1, node=0, nodes=1)
_SIGNS = ("RANK", "LOCAL_RANK", "MASTER_PORT")


@dataclass(frozen=True, slots=True)
class Ranks:
    """Who this process is in its job.

    Attributes:
        rank: among all processes of the job, from 0. Parameter servers and evaluators of TensorFlow come behind the ranks.
        world_size: processes of the job.
        local_rank: among the processes of this node, from 0, also where LOCAL_RANK is 0 everywhere.
        local_world_size: processes of the job on this node.
        node: of the nodes of the job, from 0.
        nodes: nodes of the job; 1 where nothing says more. Two agents of torchrun on one machine are two nodes.
        launcher: who said so: "torchrun", "slurm", "openmpi", "torch.distributed", ..., "alone".
        certain: False while a group may still come that would say otherwise: ask again later.
        job_key: the same for all processes of the job, and over its restarts and requeues as far as the launcher lets it be.
        attempt_key: the same for all processes of one start of the job. On several nodes an elastic restart does not change
            it: nothing that all nodes see does.
        restart: restarts so far by the launcher's count, greater in a later attempt; 0 if it does not count.
        key_is_process: no other job can have this job key, so another attempt with it is a restart. False where the key is
            something that users or schedulers use again: an address, a batch job's command.
    """

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int
    node: int
    nodes: int
    launcher: str
    certain: bool
    job_key: str
    attempt_key: str
    restart: int
    key_is_process: bool

    @property
    def is_zero(self) -> bool:
        """Whether this is the process that records for the job."""
        return self.rank == 0


def current() -> Ranks:
    """Who this process is, as far as can be told now.

    Cheap (some 0.1 ms), never a collective, never an error. While `certain` is False ask again; once it is True the rank and
    the keys stay, and only a group that is initialised later can still say more about the world.
    """
    return decide(os.environ, sys.modules)


def decide(environ: Mapping[str, str], modules: Mapping[str, Any]) -> Ranks:
    """`current()` for a process with this environment and these loaded modules."""
    evidence = Evidence(environ, modules)
    launch, live = launched(evidence), group(modules)
    if live is not None:
        return _of_group(evidence, live, launch)
    if launch is not None:
        certain = not launch.is_hint and not evidence.is_child
        return _ranks(launch.launcher, launch.place, launch.identity, certain=certain)
    return _alone(evidence)


def _of_group(evidence: Evidence, live: Group, launch: Launch | None) -> Ranks:
    """By an initialised group; the launcher adds the nodes and the identity where the group is the job that it launched."""
    if launch is None or launch.is_weak:
        where = _place_of_group(evidence, live, launch)
        return _ranks(live.framework, where, _identity_of_group(evidence, live), certain=True)
    said = launch.place
    if (said.rank, said.world_size) == (live.rank, live.world_size):
        return _ranks(launch.launcher, said, launch.identity, certain=True)
    if live.world_size < said.world_size:
        where = place(live.rank, live.world_size) or _ALONE
        return _ranks(live.framework, where, launch.identity.part(live.address), certain=True)
    where = place(live.rank, live.world_size, nodes=said.nodes) or _ALONE
    return _ranks(live.framework, where, launch.identity, certain=True)


def _place_of_group(evidence: Evidence, live: Group, launch: Launch | None) -> Place:
    """One node, or by what the environment says of it; in JAX a process has a node to itself unless it met on this machine."""
    if (
        launch
        and not evidence.is_child
        and (launch.place.rank, launch.place.world_size) == (live.rank, live.world_size)
    ):
        return launch.place
    nodes = live.world_size if live.framework == "jax.distributed" and not is_loopback(live.address) else 1
    return place(live.rank, live.world_size, nodes=nodes) or _ALONE


def _identity_of_group(evidence: Evidence, live: Group) -> Identity:
    """By the process that started the ranks by `multiprocessing` if they are all on this machine, else by where they met."""
    is_local = not live.address or is_loopback(live.address)
    if not live.address or (is_local and (evidence.is_child or evidence.has_children)):
        leader, part = of_leader(evidence, evidence.origin), evidence.text(PART)
        return leader.part(part) if part else leader
    return of_address(evidence, live.address, world=live.world_size)


def _alone(evidence: Evidence) -> Ranks:
    """No group and no launcher. There may be signs that a group is coming, and a hint which rank this will be."""
    certain = not evidence.is_child and not evidence.has(*_SIGNS) and (evidence.number("WORLD_SIZE") or 1) == 1
    hint = evidence.number("LOCAL_RANK") or 0
    where = place(hint, max(hint + 1, evidence.number("WORLD_SIZE") or 1)) if not evidence.has("RANK") else None
    return _ranks("alone", where or _ALONE, of_leader(evidence, os.getpid()), certain=certain)


def _ranks(launcher: str, where: Place, identity: Identity, *, certain: bool) -> Ranks:
    return Ranks(
        rank=where.rank,
        world_size=where.world_size,
        local_rank=where.local_rank,
        local_world_size=where.local_world_size,
        node=where.node,
        nodes=where.nodes,
        launcher=launcher,
        certain=certain,
        job_key=identity.job_key,
        attempt_key=identity.attempt_key,
        restart=identity.restart,
        key_is_process=identity.is_fresh,
    )
