"""Samples of the machine and of this process, in the units of `UNITS`."""

from __future__ import annotations

import os
import time
from typing import Any

from rankzero.ranks import Ranks
from rankzero.run import threads
from rankzero.run.facts.gpus import Gpus
from rankzero.run.loading import forks_wait

UNITS = {
    "system/cpu": "percent of all the node's cores",
    "system/memory": "bytes in use on the node",
    "system/disk.read": "bytes per second, all the node's disks",
    "system/disk.write": "bytes per second, all the node's disks",
    "system/network.received": "bytes per second, all the node's interfaces but loopback",
    "system/network.sent": "bytes per second, all the node's interfaces but loopback",
    "system/process_cpu": "percent of one core; 200 is two cores",
    "system/process_memory": "bytes resident",
    "system/gpu.<i>.utilization": "percent of time with a kernel running",
    "system/gpu.<i>.memory": "bytes in use on the device",
    "system/gpu.<i>.temperature": "degrees Celsius",
    "system/gpu.<i>.power": "watts",
    "system/gpu.<i>.energy": "joules since the first sample",
}
"""What each sampled series means. Node-wide ones come from the first rank of each node, the rest from every rank."""


class Sampler:
    """Samples for one rank; used by one thread. psutil and pynvml are loaded with the first sample.

    A GPU is sampled by exactly one rank, and only if it is one of this job's. `<i>` is the number nvidia-smi gives it.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._node = ranks.local_rank == 0
        self._gpus = Gpus(ranks)
        self._before: dict[str, float] = {}
        self._time = 0.0

    def sample(self) -> dict[str, float]:
        """One sample; rates and percentages are means since the last one, so the first sample has none."""
        now = time.monotonic()
        counters = {"system/process_cpu": time.process_time() * 100}
        values = self._process()
        if self._node:
            self._sample_node(values, counters)
        elapsed = now - self._time
        for name, count in counters.items():
            if name in self._before and elapsed > 0:
                values[name] = max(0.0, (count - self._before[name]) / elapsed)
        if "system/cpu" in values:  # the kernel counts in hundredths of a second: a short time may hold one too many
            values["system/cpu"] = min(values["system/cpu"], 100.0)
        self._before, self._time = counters, now
        return {**values, **self._gpus.sample()}

    @staticmethod
    def _process() -> dict[str, float]:
        with forks_wait():
            import psutil

            threads.forget()
        return {"system/process_memory": psutil.Process(os.getpid()).memory_info().rss}

    @staticmethod
    def _sample_node(values: dict[str, float], counters: dict[str, float]) -> None:
        import psutil

        memory = psutil.virtual_memory()
        values["system/memory"] = memory.total - memory.available
        times = psutil.cpu_times()
        counters["system/cpu"] = 100 * _busy(times) / (psutil.cpu_count() or 1)
        disk = psutil.disk_io_counters()
        if disk is not None:
            counters["system/disk.read"] = disk.read_bytes
            counters["system/disk.write"] = disk.write_bytes
        network = [use for name, use in psutil.net_io_counters(pernic=True).items() if not name.startswith("lo")]
        counters["system/network.received"] = sum(use.bytes_recv for use in network)
        counters["system/network.sent"] = sum(use.bytes_sent for use in network)


def _busy(times: Any) -> float:
    """Seconds in which the cores worked. Guests are part of user time already."""
    return float(sum(getattr(times, part, 0.0) for part in ("user", "nice", "system", "irq", "softirq", "steal")))
