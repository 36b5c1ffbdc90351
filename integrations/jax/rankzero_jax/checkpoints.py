"""Checkpoints that Orbax writes and reads, accounted as such."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

from rankzero.plugin import after_import, guard, guarded, log_aside, replace, report
from rankzero_jax.identity import identity
from rankzero_jax.runs import NAME, active

CLASSES = {
    "orbax.checkpoint.checkpoint_manager": "CheckpointManager",
    "orbax.checkpoint._src.checkpointers.checkpointer": "Checkpointer",
    "orbax.checkpoint._src.checkpointers.async_checkpointer": "AsyncCheckpointer",
}


class Checkpoints:
    """The time that the training thread spends in saving and restoring, and where checkpoints went.

    Attributes:
        elsewhere: seconds so far, to be left out of steps' times.
        step: the number of the step last taken, where somebody counts them.
    """

    def __init__(self) -> None:
        self.step: Callable[[], int | None] = lambda: None
        self.elsewhere = 0.0
        self._inside = False

    def listen(self) -> None:
        """Begin, as soon as Orbax is imported."""
        for name in CLASSES:
            after_import(name, self._install)

    def _install(self, module: ModuleType) -> None:
        for method in ("save", "restore", "wait_until_finished"):
            replace(getattr(module, CLASSES[module.__name__]), method, self._around(method))

    def _around(self, method: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        happened = guarded("noting a checkpoint")(self._happened)

        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(saver: Any, *args: Any, **kwargs: Any) -> Any:
                if self._inside:
                    return original(saver, *args, **kwargs)
                run = active()
                if run is not None and method == "save":
                    kwargs = identity.put(original, run, args, kwargs)
                self._inside = True
                began = perf_counter()
                try:
                    with contextlib.nullcontext() if run is None else run.phase("checkpoint"):
                        result = original(saver, *args, **kwargs)
                finally:
                    self._inside = False
                    seconds = perf_counter() - began
                    self.elsewhere += seconds
                if result is not False:
                    happened(method, saver, args, kwargs, seconds)
                return result

            return call

        return around

    def _happened(self, method: str, saver: Any, args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float) -> None:
        run = active()
        if run is None and method == "restore" and _goes_on(saver):
            identity.read(_folder(saver, args, kwargs))
        if run is None:
            return
        if method == "save":
            row = {"time/checkpoint": seconds}
            step = self.step()
            run.log(row, commit=False, ranks="all") if step is None else log_aside(run, row, step, ranks="all")
            report("time/checkpoint", "recorded", NAME)
            run.event("checkpoint", str(_folder(saver, args, kwargs)), seconds=seconds)


def _goes_on(saver: Any) -> bool:
    """Whether who reads here will write here: a manager. What a bare checkpointer or a read-only manager reads may be anybody's."""
    return hasattr(saver, "latest_step") and not getattr(getattr(saver, "_options", None), "read_only", False)


def _folder(saver: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Where a checkpoint lies: a manager is told a step, a checkpointer a folder."""
    given = args[0] if args else kwargs.get("step", kwargs.get("directory"))
    root = getattr(saver, "directory", None)
    if root is None:
        return Path(given) if isinstance(given, str) else given
    step = saver.latest_step() if given is None else given
    with guard("naming a checkpoint"):
        return root / saver._step_name_format.build_name(step)  # noqa: SLF001 - no other way tells
    return root / str(step)


checkpoints = Checkpoints()
"""Of this process."""
