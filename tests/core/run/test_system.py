"""Samples of the machine: plausible figures of the real one, and the devices of this job alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest

import rankzero.ranks
from rankzero.ranks import Ranks
from rankzero.run.facts import devices
from rankzero.run.facts.system import UNITS, Sampler


def ranks(local_rank: int = 0, local_world_size: int = 1) -> Ranks:
    """Who a process on this node is."""
    alone = rankzero.ranks.current()
    fields = {**vars(alone)} if hasattr(alone, "__dict__") else {name: getattr(alone, name) for name in alone.__slots__}
    return Ranks(**{**fields, "local_rank": local_rank, "local_world_size": local_world_size})


def busy(seconds: float) -> None:
    """Use CPU time, however many others want it too."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))


def _clocks() -> tuple[float, float]:
    """Now, and the CPU time that this process has used, in seconds."""
    return time.monotonic(), time.process_time()


def test_a_rank_samples_itself() -> None:
    """Memory from the first sample on, CPU as the mean since the last sample; nothing of the node but on its first rank."""
    sampler = Sampler(ranks(local_rank=1))
    before = _clocks()
    first = sampler.sample()
    began = _clocks()
    assert set(first) == {"system/process_memory"}
    assert 10_000_000 < first["system/process_memory"] < psutil.virtual_memory().total
    busy(0.3)
    ended = _clocks()
    second = sampler.sample()
    after = _clocks()
    assert set(second) == {"system/process_memory", "system/process_cpu"}
    least, most = (ended[1] - began[1]) / (after[0] - before[0]), (after[1] - before[1]) / (ended[0] - began[0])
    assert 100 * least <= second["system/process_cpu"] <= 100 * most


def test_the_first_rank_samples_the_node() -> None:
    """CPU in percent, memory in bytes, disk and network in bytes a second: all of it and in the documented units."""
    sampler = Sampler(ranks())
    assert set(sampler.sample()) == {"system/process_memory", "system/memory"}
    busy(0.2)
    sample = sampler.sample()
    assert set(sample) <= set(UNITS)
    assert {"system/cpu", "system/memory", "system/network.received", "system/network.sent"} <= set(sample)
    assert 0 < sample["system/cpu"] <= 101
    assert 0 < sample["system/memory"] < psutil.virtual_memory().total
    assert all(isinstance(value, int | float) and value >= 0 for value in sample.values())


def test_psutil_is_loaded_by_the_first_sample() -> None:
    """Neither importing the sampler nor making one loads psutil or pynvml."""
    code = (
        "import sys\n"
        "import rankzero.ranks\n"
        "from rankzero.run.facts.system import Sampler\n"
        "from rankzero.settings import Settings\n"
        "sampler = Sampler(rankzero.ranks.current())\n"
        "print('psutil' in sys.modules); sampler.sample(); print('psutil' in sys.modules, 'pynvml' in sys.modules)"
    )
    environ = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environ)
    assert done.stdout.split() == ["False", "True", "False"]


class FakeNvml(ModuleType):
    """A FAKE pynvml: four GPUs, the last without energy and power, as old ones are."""

    class NVMLError(Exception):
        """What the real one raises."""

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.energy = 1_000_000
        self.works = True

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's names
        """Fail where there is no driver."""
        if not self.works:
            raise self.NVMLError("no driver")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        """The handle is the index."""
        if index >= 4:
            raise self.NVMLError("no such device")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        """The digit in the UUID is the index."""
        return int(uuid.removeprefix("GPU-")[0])

    def nvmlDeviceGetIndex(self, handle: int) -> int:  # noqa: N802
        """The index."""
        return handle

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        """Ten percent a device."""
        return SimpleNamespace(gpu=10 * handle)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        """A thousand bytes a device."""
        return SimpleNamespace(used=1000 * handle)

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:  # noqa: N802
        """Warm."""
        assert sensor == 0
        return 40 + handle

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        """Milliwatts."""
        if handle == 3:
            raise self.NVMLError("not supported")
        return 250_000

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        """Millijoules, more each time."""
        if handle == 3:
            raise self.NVMLError("not supported")
        self.energy += 500_000
        return self.energy


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """The fake in place of pynvml, in a process that has loaded no framework."""
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    for name in ("torch", "jax"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return fake


def gpu_values(sampler: Sampler) -> dict[str, float]:
    """What a sample says of GPUs."""
    return {name: value for name, value in sampler.sample().items() if name.startswith("system/gpu.")}


def test_gpus_of_this_job_only(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPUs the job was given are sampled by the node's first rank, under the numbers nvidia-smi gives them."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,9")
    sampler = Sampler(ranks())
    assert gpu_values(sampler) == {
        "system/gpu.2.utilization": 20,
        "system/gpu.2.memory": 2000,
        "system/gpu.2.temperature": 42,
        "system/gpu.2.power": 250.0,
        "system/gpu.2.energy": 0.0,
        "system/gpu.3.utilization": 30,
        "system/gpu.3.memory": 3000,
        "system/gpu.3.temperature": 43,
    }
    assert gpu_values(sampler)["system/gpu.2.energy"] == 500.0
    assert gpu_values(Sampler(ranks(local_rank=1, local_world_size=2))) == {}


def test_each_rank_samples_what_it_uses(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the framework says which devices a process uses, those are sampled, by any rank, by UUID or by number."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    used: list[dict[str, Any]] = [{"kind": "cuda", "index": 0, "uuid": "GPU-1abc"}]
    monkeypatch.setattr(devices, "in_use", lambda: used)
    sampler = Sampler(ranks(local_rank=1, local_world_size=2))
    assert {name.split(".")[1] for name in gpu_values(sampler)} == {"1"}
    used[:] = [{"kind": "gpu", "index": 0}]
    assert {name.split(".")[1] for name in gpu_values(sampler)} == {"3"}
    used[:] = [{"kind": "tpu", "index": 0}]
    assert gpu_values(sampler) == {}


def test_no_gpu_no_driver_no_pynvml(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU job, a machine without driver, or one without pynvml has no GPU series and no trouble."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_values(Sampler(ranks())) == {}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    nvml.works = False
    assert gpu_values(Sampler(ranks())) == {}
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu_values(Sampler(ranks())) == {}


def test_torch_says_which_devices_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the GPUs that torch sees those on which this process has memory are its own. torch.cuda is a FAKE here."""
    properties = [SimpleNamespace(name=f"H{index}", total_memory=80, uuid=f"{index}abc") for index in range(2)]
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        device_count=lambda: 2,
        memory_reserved=lambda index: 1024 * index,
        get_device_properties=lambda index: properties[index],
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert devices.in_use() == [{"kind": "cuda", "index": 1, "name": "H1", "memory": 80, "uuid": "GPU-1abc"}]
