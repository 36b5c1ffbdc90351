"""Process groups that are initialised: what the program itself has agreed on.

No framework is imported here, and nothing is asked before the group exists: `jax.process_index()` ahead of
`jax.distributed.initialize()` would break the latter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Group(NamedTuple):
    """An initialised process group; `address` is where it met, `host:port` or a file's path, empty if unknown."""

    framework: str
    rank: int
    world_size: int
    address: str


def group(modules: Mapping[str, Any]) -> Group | None:
    """The larger of the initialised groups of the frameworks that are loaded, if any."""
    groups = [found for find in (_torch, _jax) if (found := find(modules))]
    return max(groups, key=lambda one: one.world_size, default=None)


def _torch(modules: Mapping[str, Any]) -> Group | None:
    distributed = modules.get("torch.distributed")
    try:
        if distributed is None or not distributed.is_available() or not distributed.is_initialized():
            return None
        return Group("torch.distributed", distributed.get_rank(), distributed.get_world_size(), _met_at(modules))
    except (AttributeError, RuntimeError, ValueError):
        return None  # another thread is importing torch, or destroying the group


def _met_at(modules: Mapping[str, Any]) -> str:
    """The address of the store behind the default group, found without talking to it."""
    try:
        store = modules["torch.distributed.distributed_c10d"]._get_default_store()  # noqa: SLF001 - no public way
    except (AttributeError, KeyError, RuntimeError, ValueError):
        return ""
    while (inner := getattr(store, "underlying_store", None)) is not None:
        store = inner
    host, port = getattr(store, "host", ""), getattr(store, "port", "")
    return f"{host}:{port}" if host else str(getattr(store, "path", ""))


def _jax(modules: Mapping[str, Any]) -> Group | None:
    distributed = modules.get("jax.distributed")
    state = getattr(modules.get("jax._src.distributed"), "global_state", None)
    try:
        if distributed is None or state is None or not distributed.is_initialized():
            return None
        return Group("jax.distributed", state.process_id, state.num_processes, state.coordinator_address or "")
    except AttributeError:
        return None  # another thread is importing jax
