"""The facts of a process and its host, asked of real repositories, real processes and no device."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from rankzero.run.facts import devices
from rankzero.run.facts import git as git_module
from rankzero.run.facts.environment import collect, packages
from rankzero.run.facts.git import Git
from rankzero.settings import Settings


def git(folder: Path, *command: str) -> str:
    """Run git as somebody, wherever the test runs."""
    identity = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "init.defaultBranch=main",
        "-c",
        "commit.gpgsign=false",
    ]
    done = subprocess.run(["git", "-C", str(folder), *identity, *command], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit and a remote that holds a password."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("lr = 0.1\n")
    (folder / ".gitignore").write_text("ignored/\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "remote", "add", "origin", "https://me:hunter2@example.org/team/repo.git")
    return folder


def test_git_facts(repository: Path) -> None:
    """Commit, branch, cleanliness and the remote without its password; asked from a folder below too."""
    sub = repository / "sub"
    sub.mkdir()
    facts = Git(sub).describe()
    assert facts == {
        "remote": "https://<scrubbed>@example.org/team/repo.git",
        "commit": git(repository, "rev-parse", "HEAD"),
        "branch": "main",
        "dirty": False,
        "root": str(repository),
    }
    (repository / "train.py").write_text("lr = 0.2\n")
    assert Git(repository).describe()["dirty"] is True


def test_git_changes_nothing(repository: Path) -> None:
    """Asking takes no lock and writes nothing: it works while another git holds the index, and the index stays as it was."""
    (repository / "train.py").touch()
    (repository / ".git" / "index.lock").touch()
    before = (repository / ".git" / "index").stat().st_mtime_ns
    assert Git(repository).describe()["dirty"] is False
    assert (repository / ".git" / "index").stat().st_mtime_ns == before


def test_the_programs_warnings_are_left_alone(repository: Path) -> None:
    """What the program has been warned of once is not said again because the process was described meanwhile."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        for _ in range(2):
            warnings.warn("only once", stacklevel=1)
            Git(repository).describe()
            facts = collect(Settings())
    assert len(said) == 1
    assert facts["os"] == platform.platform()


def test_git_in_odd_places(repository: Path, tmp_path: Path) -> None:
    """No repository, an empty one, a bare one, a detached head, a worktree: each says what there is, none fails."""
    plain = tmp_path / "plain"
    empty = tmp_path / "empty"
    plain.mkdir()
    empty.mkdir()
    git(empty, "init", "-q")
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare")
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "other")
    git(repository, "checkout", "-q", "--detach")
    assert Git(plain).describe() == {}
    assert "commit" not in Git(empty).describe()
    assert Git(tmp_path / "bare").top is None
    assert "branch" not in Git(repository).describe()
    assert Git(tmp_path / "tree").describe()["branch"] == "other"
    assert Git(tmp_path / "does not exist").describe() == {}


def test_without_git_the_commit_is_read_by_hand(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where git is not installed, or will not look, commit and branch are still known."""
    commit = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", str(repository))
    assert Git(repository).describe() == {"root": str(repository), "branch": "main", "commit": commit}
    monkeypatch.undo()
    git(repository, "pack-refs", "--all")
    monkeypatch.setenv("PATH", str(repository))
    assert Git(repository).describe()["commit"] == commit


@pytest.mark.parametrize("closes", ["", "exec >&-"])
def test_a_git_that_hangs_is_left(repository: Path, monkeypatch: pytest.MonkeyPatch, closes: str) -> None:
    """A git that never answers, or has answered and never ends, costs the timeout and no more."""
    slow = repository / "bin"
    slow.mkdir()
    (slow / "git").write_text(f"#!/bin/sh\n{closes}\nsleep 60\nexit 0\n")
    (slow / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}:{os.environ['PATH']}")
    monkeypatch.setattr(git_module, "TIMEOUT", 0.3)
    assert Git(repository).ask("status") is None


def test_collect(repository: Path) -> None:
    """A process describes itself: its command without secrets, its interpreter, host, repository, launcher; as plain JSON."""
    code = (
        "import json, sys\n"
        "from rankzero.run.facts.environment import collect\n"
        "from rankzero.settings import read\n"
        "print(json.dumps(collect(read())))"
    )
    environ = {**os.environ, "SLURM_JOB_ID": "17", "NCCL_DEBUG": "INFO", "RAY_API_KEY": "abcdef123", "HOME_SECRET": "x"}
    command = [sys.executable, "-c", code, "--lr", "0.1", "--hf-token", "abc123"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=repository, env=environ)
    facts = json.loads(done.stdout)
    assert facts["command"][-4:] == ["--lr", "0.1", "--hf-token", "<scrubbed>"]
    assert facts["executable"] == sys.executable
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["cwd"] == str(repository)
    assert facts["git"]["branch"] == "main"
    assert facts["cpus"]["usable"] == len(os.sched_getaffinity(0))
    assert facts["memory"]["total"] > 100_000_000
    assert facts["launch"]["SLURM_JOB_ID"] == "17"
    assert facts["launch"]["RAY_API_KEY"] == "<scrubbed>"
    assert "HOME_SECRET" not in facts["launch"]
    assert "abc123" not in done.stdout
    assert not set(facts["host"]) & set("\n ")


def test_collect_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    """A working directory that was deleted costs the facts about it and nothing else."""
    gone = tmp_path / "gone"
    code = (
        "import os\n"
        "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        "from rankzero.run.facts.environment import collect\n"
        "from rankzero.settings import Settings\n"
        "facts = collect(Settings()); print('cwd' in facts, 'host' in facts)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "False True\n"
    assert not gone.exists()


def test_packages() -> None:
    """The list of packages is the one that importlib.metadata reads at fifty times the cost."""
    named = {
        line.partition("==")[0].lower().replace("-", "_").replace(".", "_"): line.partition("==")[2]
        for line in packages()
    }
    for name in ("numpy", "torch", "msgspec", "typing_extensions"):
        assert named[name] == importlib.metadata.version(name)
    assert collect(Settings(packages=False)).get("packages") is None


def test_visible_devices() -> None:
    """CUDA_VISIBLE_DEVICES is read as CUDA reads it: up to the first invalid entry."""
    assert devices.visible({}) is None
    assert devices.visible({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert devices.visible({"CUDA_VISIBLE_DEVICES": "-1"}) == []
    assert devices.visible({"CUDA_VISIBLE_DEVICES": "2, 0,-1,3"}) == ["2", "0"]
    assert devices.visible({"CUDA_VISIBLE_DEVICES": "GPU-8932f937-d72c,MIG-4"}) == ["GPU-8932f937-d72c", "MIG-4"]


def test_existing_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's files name the GPUs; those that the job was not given are left out; made-up files stand for them."""
    for index, name in enumerate(["0000:17:00.0", "0000:65:00.0"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "information").write_text(
            f"Model: \t\t NVIDIA H{index}00\nIRQ:   17\nGPU UUID: \t GPU-{index}aaa\n"
        )
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpu["name"] for gpu in devices.existing(tmp_path)] == ["NVIDIA H000", "NVIDIA H100"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert devices.existing(tmp_path) == [{"kind": "cuda", "index": 1, "name": "NVIDIA H100", "uuid": "GPU-1aaa"}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-0a")
    assert [gpu["index"] for gpu in devices.existing(tmp_path)] == [0]
    assert devices.existing(tmp_path / "no driver") == []


def test_asking_for_devices_starts_none() -> None:
    """Neither torch's CUDA nor jax's backends are started by looking for devices."""
    code = (
        "import torch, jax, sys\n"
        "from rankzero.run.facts import devices\n"
        "assert devices.in_use() == []\n"
        "assert not torch.cuda.is_initialized()\n"
        "assert not sys.modules['jax._src.xla_bridge']._backends\n"
        "jax.numpy.zeros(3)\n"
        "assert sys.modules['jax._src.xla_bridge']._backends\n"
        "print(devices.in_use())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    assert done.stdout == "[]\n"
