"""What `rankzero.plugin` asks of an integration, for PyTorch."""

from __future__ import annotations

from typing import Any

from torch import nn

from rankzero.plugin import Integration, Run
from rankzero_pytorch.watch import watched


class PyTorch(Integration):
    """Hooks for plain PyTorch: `run.watch(module)` by hand, everything else with no change to the program."""

    name = "pytorch"
    framework = "torch"
    extra = "pytorch"

    def activate(self) -> None:
        """Put hooks in place for a program that never mentions rankzero."""
        from rankzero_pytorch.zero_change import activate

        activate()

    def watch(self, run: Run, obj: Any, **options: Any) -> bool:
        """Watch a module; see `rankzero_pytorch.watch.Watched.add` for the options."""
        if not isinstance(obj, nn.Module):
            return False
        watched.add(run, obj, **options)
        return True

    def unwatch(self, run: Run, obj: Any) -> bool:
        """Stop watching a module, or all if None."""
        return (obj is None or isinstance(obj, nn.Module)) and watched.remove(run, obj)


integration = PyTorch()
"""Named in the entry point group `rankzero.integrations`."""
