"""The checks of `rankzero doctor`: each looks, changes nothing, and says what it found in one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rankzero.run.requirements import at_least, least_of, too_old

LEAST_FREE = 1 << 30
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "fuse.sshfs", "ceph", "9p"}
VOLATILE = {"tmpfs", "ramfs"}
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found: `status` is "ok" or "warn"."""

    check: str
    status: str
    message: str


def every_check(root: Path) -> list[Result]:
    """All checks, in the order in which they are shown."""
    return [
        check_root(root),
        check_file_system(root),
        check_git(),
        check_interpreter(),
        *check_frameworks(),
        check_activation(),
        check_gpu(),
    ]


def check_root(root: Path) -> Result:
    """Whether runs can be written: a file made, linked and taken away again in the nearest place that exists."""
    place = _existing(root)
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".rankzero-doctor-") as folder:
            one = Path(folder) / "one"
            one.write_bytes(b"1")
            os.link(one, Path(folder) / "two")
    except OSError as error:
        return Result(
            "root", "warn", f"cannot write in {place} ({error.strerror}); choose another folder with RANKZERO_DIR"
        )
    made = "" if place == root else ", it will be made when the first run starts"
    return Result("root", "ok", f"{root} can be written{made}")


def check_file_system(root: Path) -> Result:
    """Where the root lies and how much is free."""
    place = _existing(root)
    kind = _file_system(place)
    free = shutil.disk_usage(place).free
    described = f"{root} lies on {kind}, {free / 1e9:.1f} GB free"
    if free < LEAST_FREE:
        return Result(
            "file system", "warn", f"{described}: nearly full; runs wait in memory while nothing can be written"
        )
    if kind in VOLATILE:
        return Result("file system", "warn", f"{described}: it is gone after a reboot")
    network = "; every process writes its own file, so no lock is needed" if kind in NETWORK else ""
    return Result("file system", "ok", described + network)


def check_git() -> Result:
    """Whether the commit and the diff can be kept."""
    if shutil.which("git") is None:
        return Result("git", "warn", "git is not installed; runs are recorded without commit and diff")
    inside = _output(["git", "rev-parse", "--short", "HEAD"])
    if inside is None:
        return Result("git", "ok", "git is installed; this folder is in no repository with a commit, so none is kept")
    return Result("git", "ok", f"this folder is at commit {inside}")


def check_interpreter() -> Result:
    """Which Python runs rankzero, and whether the `python` of this shell is the same."""
    version = ".".join(map(str, sys.version_info[:3]))
    own = f"Python {version} at {sys.executable}"
    found = shutil.which("python") or shutil.which("python3")
    if found is None:
        return Result("python", "ok", own)
    prefix = _output([found, "-c", "import sys; print(sys.prefix)"])
    if prefix is not None and prefix != sys.prefix:
        return Result(
            "python",
            "warn",
            f"{own}, but `python` is {found}, which records nothing unless rankzero is installed there too",
        )
    return Result("python", "ok", own)


def check_frameworks() -> Iterator[Result]:
    """Each framework that an integration knows: installed, and in the supported range."""
    entries = sorted(metadata.entry_points(group="rankzero.integrations"), key=lambda entry: entry.name)
    if not entries:
        yield Result("frameworks", "warn", "no integration is installed: `pip install rankzero` again")
    for entry in entries:
        least = least_of(entry)
        wanted = f"{entry.name}>={least}" if least else f"any {entry.name}"
        try:
            version = metadata.version(entry.name)
        except metadata.PackageNotFoundError:
            yield Result(entry.name, "ok", f"{entry.name} is not installed; supported is {wanted}")
            continue
        if at_least(version, least):
            yield Result(entry.name, "ok", f"{entry.name} {version} is supported ({wanted})")
        else:
            yield Result(entry.name, "warn", too_old(entry.name, version, least))


def check_activation() -> Result:
    """Whether a Python below `rankzero run` finds our sitecustomize."""
    from rankzero.launch.environment import STARTUP, prepare

    code = "import sys; print('rankzero.launch.inside' in sys.modules)"
    environ = prepare({**os.environ, "RANKZERO_MODE": "on"}, {})
    found = _output([sys.executable, "-c", code], environ)
    if found == "True":
        return Result("activation", "ok", "`rankzero run` reaches the Python processes below it")
    why = "PYTHONPATH is not followed" if found == "False" else "Python does not start below it"
    return Result("activation", "warn", f"`rankzero run` does not reach its processes: {why} ({STARTUP})")


def check_gpu() -> Result:
    """Whether there are NVIDIA GPUs and their samples can be read."""
    listed = (
        _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]) if shutil.which("nvidia-smi") else None
    )
    if not listed:
        return Result("gpu", "ok", "no NVIDIA GPU here; jobs count process-hours and no device-hours")
    names = listed.splitlines()
    try:
        metadata.version("nvidia-ml-py")
    except metadata.PackageNotFoundError:
        return Result(
            "gpu", "warn", f"{len(names)} x {names[0]}, but their load is not sampled: pip install 'rankzero[gpu]'"
        )
    return Result("gpu", "ok", f"{len(names)} x {names[0]}")


def _existing(path: Path) -> Path:
    return next((place for place in (path, *path.parents) if place.exists()), Path("/"))


def _file_system(path: Path) -> str:
    """The type of the file system that a folder lies on, as far as the system says."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "an unknown file system"
    resolved = path.resolve()
    matching = [(mount[1], mount[2]) for mount in mounts if resolved.is_relative_to(mount[1].replace("\\040", " "))]
    return max(matching, key=lambda pair: len(pair[0]))[1] if matching else "an unknown file system"


def _output(command: list[str], environ: dict[str, str] | None = None) -> str | None:
    """What a command prints, None if it cannot be run or fails."""
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
