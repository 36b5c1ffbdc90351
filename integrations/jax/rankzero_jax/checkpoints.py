"""Checkpoints that Orbax writes and reads, accounted as such."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from types import ModuleType
from typing import Any

from rankzero.plugin import after_import, guard, guarded, replace, report
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
    """

    def __init__(self) -> None:
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
        wrote = guarded("noting a checkpoint")(self._wrote)

        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(saver: Any, *args: Any, **kwargs: Any) -> Any:
                run = active()
                if run is None or self._inside:
                    return original(saver, *args, **kwargs)
                self._inside = True
                began = perf_counter()
                try:
                    with run.phase("checkpoint"):
                        result = original(saver, *args, **kwargs)
                finally:
                    self._inside = False
                    seconds = perf_counter() - began
                    self.elsewhere += seconds
                if result is not False:
                    wrote(method, saver, args, seconds)
                return result

            return call

        return around

    def _wrote(self, method: str, saver: Any, args: tuple[Any, ...], seconds: float) -> None:
        run = active()
        if run is None:
            return
        run.log({"time/checkpoint": seconds}, commit=False, ranks="all")
        report("time/checkpoint", "recorded", NAME)
        if method == "save":
            run.event("checkpoint", str(_place(saver, args)), seconds=seconds)


def _place(saver: Any, args: tuple[Any, ...]) -> Any:
    """Where a checkpoint went: a manager is told a step, a checkpointer a folder."""
    given = args[0] if args else ""
    folder = getattr(saver, "directory", None)
    with guard("naming a checkpoint"):
        return folder / str(given) if folder is not None else given
    return given


checkpoints = Checkpoints()
"""Of this process."""
