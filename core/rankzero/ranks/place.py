"""A process's place in its job, and how what a launcher leaves out is filled in."""

from __future__ import annotations

from typing import NamedTuple

from rankzero.ranks.identity import Identity


class Place(NamedTuple):
    """Where a process stands among the processes of its job; all counts from zero."""

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int
    node: int
    nodes: int


class Launch(NamedTuple):
    """What a launcher's variables say.

    `is_hint`: they are not enough to be sure of the rank. `is_weak`: any program may set them, or leave them behind; they
    identify the job by no more than an address.
    """

    launcher: str
    place: Place
    identity: Identity
    is_weak: bool = False
    is_hint: bool = False


def place(
    rank: int | None,
    world_size: int | None,
    *,
    local_rank: int | None = None,
    local_world_size: int | None = None,
    node: int | None = None,
    nodes: int | None = None,
) -> Place | None:
    """The place by what is given; None if rank and world size make no sense.

    What is missing follows from the rest as if every node had as many processes, in order; with nothing given, one node.
    """
    if rank is None or not world_size or rank >= world_size:
        return None
    if not nodes:
        nodes = -(-world_size // local_world_size) if local_world_size else 1
    if not local_world_size:
        local_world_size = -(-world_size // nodes)
    if node is None:
        node = rank // local_world_size
    if local_rank is None:
        local_rank = max(0, rank - node * local_world_size)
    return Place(rank, world_size, local_rank, max(local_world_size, local_rank + 1), node, max(nodes, node + 1))
