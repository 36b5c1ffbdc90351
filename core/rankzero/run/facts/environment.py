"""Where a job runs: command line, host, git, packages, devices of this job, launcher; secrets left out.

Called off the training thread. git may take seconds in a huge repository, so not on a thread that others wait for.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
from pathlib import Path
from typing import Any

from rankzero.run.facts import devices
from rankzero.run.facts.git import Patience
from rankzero.run.facts.saved_code import repository, save_code
from rankzero.run.facts.secrets import scrub, scrub_argv
from rankzero.settings import Settings

__all__ = ["collect", "devices_in_use", "packages", "save_code"]

_LAUNCHERS = (
    "ACCELERATE_", "COBALT_", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "DEEPSPEED_", "FLUX_", "GROUP_RANK", "HIP_VISIBLE_DEVICES",
    "HOROVOD_", "JAX_", "JOB_COMPLETION_INDEX", "JSM_", "KUBERNETES_SERVICE_HOST", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "LSB_JOB",
    "MASTER_ADDR", "MASTER_PORT", "MEGASCALE_", "MPI_LOCAL", "MV2_COMM", "NCCL_", "NODE_RANK", "OMP_NUM_THREADS", "OMPI_COMM_WORLD_",
    "PBS_JOB", "PMI_", "PMIX_RANK", "PYTORCH_", "RANK", "RANKZERO_", "RAY_", "ROCR_VISIBLE_DEVICES", "ROLE_", "SAGEMAKER_", "SLURM_",
    "SM_", "TF_CONFIG", "TORCHELASTIC_", "TORCH_", "TPU_", "WORLD_SIZE", "XLA_",
)  # fmt: skip
"""Beginnings of the variables that say how a job was launched and set up."""

_LONGEST_VARIABLE = 2000
_CONTAINERS = {
    "KUBERNETES_SERVICE_HOST": "kubernetes",
    "APPTAINER_NAME": "apptainer",
    "SINGULARITY_NAME": "singularity",
}


def collect(settings: Settings, patience: Patience | None = None) -> dict[str, Any]:
    """The facts about this process and its host; a fact that cannot be had is left out.

    Returns:
        command (list), executable, python, cwd, host, os, pid, cpus {count, usable, limit}, memory {total, limit} in bytes,
        container, git {remote, commit, branch, dirty, root}, devices (list), launch (variables), packages ("name==version").
    """
    facts = {
        "command": scrub_argv(sys.orig_argv),
        "executable": sys.executable,
        "python": platform.python_version(),
        "cwd": _cwd(),
        "host": socket.gethostname(),
        "os": _system(),
        "pid": os.getpid(),
        "cpus": _cpus(),
        "memory": _memory(),
        "container": _container(),
        "git": repository(patience).describe(),
        "devices": devices.in_use() or devices.existing(),
        "launch": _launch(),
        "packages": packages() if settings.packages else [],
    }
    return {name: fact for name, fact in facts.items() if fact not in (None, "", [], {})}


def _system() -> str:
    """As `platform.platform()` has it, which starts a process and so touches the program's warning filters."""
    kernel, libc = os.uname(), "".join(platform.libc_ver())
    return f"{kernel.sysname}-{kernel.release}-{kernel.machine}" + (f"-with-{libc}" if libc else "")


def devices_in_use() -> tuple[str, int]:
    """The name and the number of the accelerators that this process itself uses now; ("", 0) on a CPU or before the first use."""
    found = devices.in_use()
    return (str(found[0]["name"]), len(found)) if found else ("", 0)


def packages() -> list[str]:
    """What is installed where this interpreter looks, as "name==version", by the names of the folders alone: it costs nothing."""
    found = set()
    for place in sys.path:
        try:
            names = [path.name for path in Path(place or ".").iterdir()]
        except OSError:
            continue
        for name in names:
            stem, _, ending = name.rpartition(".")
            if ending in {"dist-info", "egg-info"} and stem:
                package, _, version = stem.partition("-")
                found.add(f"{package.replace('_', '-')}=={version.split('-')[0]}" if version else package)
    return sorted(found, key=str.lower)


def _cwd() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:
        return None


def _cpus() -> dict[str, float]:
    facts: dict[str, float] = {"count": os.cpu_count() or 1}
    if hasattr(os, "sched_getaffinity"):
        facts["usable"] = len(os.sched_getaffinity(0))
    quota, _, period = (_cgroup("cpu.max") or "").partition(" ")
    if quota.isdigit() and period.isdigit():
        facts["limit"] = int(quota) / int(period)
    return facts


def _memory() -> dict[str, int]:
    facts: dict[str, int] = {}
    if "SC_PHYS_PAGES" in os.sysconf_names:
        facts["total"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _cgroup("memory.max") or _text(Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")) or ""
    if limit.isdigit() and int(limit) < facts.get("total", 0):
        facts["limit"] = int(limit)
    return facts


def _cgroup(name: str) -> str | None:
    """A limit of this process's control group (version 2), or of the nearest group above that has one."""
    root = Path("/sys/fs/cgroup")
    own = next(
        (line[3:] for line in (_text(Path("/proc/self/cgroup")) or "").splitlines() if line.startswith("0::")), "/"
    )
    folder = root / own.lstrip("/")
    for place in [folder, *folder.parents]:
        limit = _text(place / name)
        if limit and not limit.startswith("max"):
            return limit
        if place == root:
            break
    return None


def _container() -> str | None:
    for variable, name in _CONTAINERS.items():
        if variable in os.environ:
            return name
    if Path("/.dockerenv").exists():
        return "docker"
    return "podman" if Path("/run/.containerenv").exists() else None


def _launch() -> dict[str, str]:
    kept = {name: value for name, value in sorted(os.environ.items()) if name.startswith(_LAUNCHERS)}
    return {name: str(value)[:_LONGEST_VARIABLE] for name, value in scrub(kept).items()}


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
