"""The accelerators that this process may use and does use. Nothing here initialises a device or loads a framework."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DRIVER = Path("/proc/driver/nvidia/gpus")


def visible(environ: Mapping[str, str] | None = None) -> list[str] | None:
    """The entries of CUDA_VISIBLE_DEVICES (indices or UUIDs), up to the first invalid one; None if it is not set."""
    given = (os.environ if environ is None else environ).get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return None
    names: list[str] = []
    for name in (part.strip() for part in given.split(",")):
        if not name or name.startswith("-") or name in names:
            break
        names.append(name)
    return names


def in_use() -> list[dict[str, Any]]:
    """The devices on which this process has put something, each with kind, index, name, memory (bytes) and uuid if known.

    Asked of torch if it has initialised CUDA (the devices on which it has reserved memory), else of jax if it has started its
    backends. Before that, and on a CPU, there are none.
    """
    return _torch_devices() or _jax_devices()


def existing(driver: Path = _DRIVER) -> list[dict[str, Any]]:
    """The GPUs that this process could use, as the driver's files name them; those hidden from the job are left out."""
    try:
        folders = sorted(driver.iterdir())
    except OSError:
        return []
    found = [_described(index, folder) for index, folder in enumerate(folders)]
    wanted = visible()
    if wanted is None:
        return found
    return [
        gpu
        for name in wanted
        for gpu in found
        if name == str(gpu["index"]) or str(gpu.get("uuid", "")).startswith(name)
    ]


def _torch_devices() -> list[dict[str, Any]]:
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return []
    used = [index for index in range(cuda.device_count()) if cuda.memory_reserved(index)]
    return [_torch_device(index, cuda.get_device_properties(index)) for index in used]


def _torch_device(index: int, properties: Any) -> dict[str, Any]:
    facts = {"kind": "cuda", "index": index, "name": properties.name, "memory": properties.total_memory}
    uuid = getattr(properties, "uuid", None)
    return {**facts, "uuid": f"GPU-{uuid}"} if uuid is not None else facts


def _jax_devices() -> list[dict[str, Any]]:
    """Only if some backend runs: asking jax for its devices would start them, and break a later jax.distributed.initialize."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    jax = sys.modules.get("jax")
    if jax is None or not getattr(bridge, "_backends", None):
        return []
    return [
        {"kind": device.platform, "index": device.id, "name": device.device_kind}
        for device in jax.local_devices()
        if device.platform != "cpu"
    ]


def _described(index: int, folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": "cuda", "index": index}
    try:
        lines = (folder / "information").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return facts
    found = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    names = {"name": found.get("Model"), "uuid": found.get("GPU UUID")}
    return {**facts, **{key: value for key, value in names.items() if value}}
