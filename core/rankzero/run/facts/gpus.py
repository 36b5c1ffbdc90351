"""Samples of the NVIDIA GPUs of this job, through NVML where it is installed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from rankzero.ranks import Ranks
from rankzero.run.facts import devices
from rankzero.run.loading import forks_wait

_TEMPERATURE_OF_GPU = 0
_MILLI = 1000.0


class Gpus:
    """The GPUs that this rank samples: those it uses itself. Without NVML, or on a CPU, there are none."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._nvml: Any = None
        self._tried = False
        self._first_energy: dict[int, float] = {}

    def sample(self) -> dict[str, float]:
        """`system/gpu.<i>.*` of each of this rank's GPUs; what a device does not report is left out."""
        names = self._names()
        if not names or not self._load():
            return {}
        values: dict[str, float] = {}
        for name in names:
            handle = self._handle(name)
            index = None if handle is None else self._ask("nvmlDeviceGetIndex", handle)
            if index is not None:
                measured = self._measure(handle, int(index))
                values.update({f"system/gpu.{index}.{what}": value for what, value in measured.items()})
        return values

    def _names(self) -> list[str]:
        """UUIDs or indices: of the devices this process uses, by its framework's word, else of those the job was given."""
        wanted = devices.visible()
        used = [device for device in devices.in_use() if device["kind"] in {"cuda", "gpu"}]
        if used:
            return [str(device.get("uuid") or _numbered(int(device["index"]), wanted)) for device in used]
        unknown = not {"torch", "jax"}.intersection(sys.modules)
        return wanted or [] if unknown and self._ranks.local_rank == 0 else []

    def _load(self) -> bool:
        if not self._tried:
            self._tried = True
            try:
                with forks_wait():
                    nvml = importlib.import_module("pynvml")
            except ImportError:
                return False
            try:
                nvml.nvmlInit()
            except nvml.NVMLError:
                return False
            self._nvml = nvml
        return self._nvml is not None

    def _handle(self, name: str) -> Any:
        if name.isdigit():
            return self._ask("nvmlDeviceGetHandleByIndex", int(name))
        return self._ask("nvmlDeviceGetHandleByUUID", name)

    def _measure(self, handle: Any, index: int) -> dict[str, float]:
        energy = self._ask("nvmlDeviceGetTotalEnergyConsumption", handle)
        if energy is not None:
            energy -= self._first_energy.setdefault(index, energy)
        found = {
            "utilization": self._ask("nvmlDeviceGetUtilizationRates", handle, read=lambda rates: rates.gpu),
            "memory": self._ask("nvmlDeviceGetMemoryInfo", handle, read=lambda memory: memory.used),
            "temperature": self._ask("nvmlDeviceGetTemperature", handle, _TEMPERATURE_OF_GPU),
            "power": self._ask("nvmlDeviceGetPowerUsage", handle, read=lambda milliwatts: milliwatts / _MILLI),
            "energy": None if energy is None else energy / _MILLI,
        }
        return {what: value for what, value in found.items() if value is not None}

    def _ask(self, question: str, *arguments: Any, read: Callable[[Any], Any] = lambda answer: answer) -> Any:
        """The answer of one NVML function, or None if this device does not support it."""
        try:
            return read(getattr(self._nvml, question)(*arguments))
        except self._nvml.NVMLError:
            return None


def _numbered(index: int, wanted: list[str] | None) -> str:
    """The name of the index-th device that CUDA sees."""
    return wanted[index] if wanted is not None and index < len(wanted) else str(index)
