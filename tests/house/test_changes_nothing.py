"""Installing or importing rankzero changes nothing in the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_STATE = """
import _thread, builtins, gc, io, os, signal, sys, threading, warnings

def state():
    return {
        "threads": _thread._count(),
        "hooks": [sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook, builtins.__import__],
        "finders": [list(sys.meta_path), list(sys.path_hooks), list(sys.path)],
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "streams": [sys.stdin, sys.stdout, sys.stderr],
        "trace": [sys.gettrace(), sys.getprofile(), list(gc.callbacks)],
        "environment": dict(os.environ),
        "methods": [io.TextIOWrapper.write, os.fork, os._exit, threading.Thread.start],
    }
"""

_IMPORT = (
    _STATE
    + """
before = state()
import rankzero
after = state()
assert before == after, [key for key in before if before[key] != after[key]]
"""
)

_TORCH = (
    _STATE
    + """
import torch, torch.optim, torch.utils.data
from torch.optim.optimizer import Optimizer, _global_optimizer_post_hooks, _global_optimizer_pre_hooks

def torch_state():
    return [
        torch.autograd.backward, torch.Tensor.backward, Optimizer.step, Optimizer.__init__, torch.save,
        torch.utils.data.DataLoader.__iter__, torch.nn.Module.__call__, torch.nn.utils.clip_grad_norm_,
        dict(_global_optimizer_pre_hooks), dict(_global_optimizer_post_hooks),
    ]

before, torch_before = state(), torch_state()
import rankzero, rankzero.plugin, rankzero_pytorch
assert before == state() and torch_before == torch_state()
print("unchanged")
"""
)


def _run(code: str, folder: Path) -> str:
    environ = {**os.environ, "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True).stdout


def test_import_changes_nothing(tmp_path: Path) -> None:
    """`import rankzero` starts no thread, patches nothing, sets no handler and writes no file."""
    _run(_IMPORT, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_import_beside_torch_patches_nothing(tmp_path: Path) -> None:
    """Importing rankzero and its PyTorch plugin outside `rankzero run` leaves torch as it was."""
    assert _run(_TORCH, tmp_path) == "unchanged\n"


def test_installed_package_is_not_loaded_by_python_itself() -> None:
    """An interpreter of an environment that has rankzero installed does not load it by itself."""
    code = "import sys; assert not [name for name in sys.modules if name.startswith('rankzero')]"
    subprocess.run([sys.executable, "-c", code], check=True)
