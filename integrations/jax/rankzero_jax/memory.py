"""The memory of this process's devices, as JAX's own allocator sees it: it reserves most of a device from the start."""

from __future__ import annotations

from time import monotonic
from typing import Any

import jax

from rankzero_jax.internals import has_backend

INTERVAL = 10.0
_FIELDS = {"bytes_in_use": "memory", "peak_bytes_in_use": "memory_peak", "bytes_limit": "memory_limit"}


class Memory:
    """Asked at most every ten seconds, and not before the program uses its devices: they are not started for it."""

    def __init__(self) -> None:
        self._asked = -INTERVAL

    def due(self) -> bool:
        """Whether to ask now."""
        return monotonic() - self._asked >= INTERVAL and has_backend()

    def row(self) -> tuple[float, dict[str, Any]]:
        """When (`time.monotonic()`), and each local device's bytes in use, their peak and the limit; CPUs do not tell."""
        self._asked = monotonic()
        row: dict[str, Any] = {}
        for device in jax.local_devices():
            stats = device.memory_stats() or {}
            row.update(
                {f"system/device.{device.id}.{name}": stats[field] for field, name in _FIELDS.items() if field in stats}
            )
        return self._asked, row
