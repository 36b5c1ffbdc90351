"""Checkpoints that Orbax writes and reads, accounted as such."""

from __future__ import annotations

import contextlib
import threading
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
    "orbax.checkpoint.experimental.v1._src.training.checkpointer": "Checkpointer",
}
FUNCTIONS = (
    "orbax.checkpoint.experimental.v1._src.saving.saving",
    "orbax.checkpoint.experimental.v1._src.loading.loading",
    "orbax.checkpoint.experimental.v1",
)
SAVES = (
    "save", "save_checkpointables", "save_pytree", "save_async", "save_checkpointables_async", "save_pytree_async",
)  # fmt: skip
LOADS = ("restore", "load", "load_checkpointables", "load_pytree")
WAITS = ("wait_until_finished", "wait")


class _Here(threading.local):
    """Of this thread.

    Attributes:
        inside: it is in a call of Orbax.
        named: in that call the run has been named to the checkpoint.
        saves: it has saved something. A thread that has not is one of Orbax's own: what it waits for, training does not.
    """

    def __init__(self) -> None:
        self.inside = False
        self.named = False
        self.saves = False


class Checkpoints:
    """The time that the training thread spends in saving and restoring, and where checkpoints went.

    Attributes:
        elsewhere: seconds so far, to be left out of steps' times.
        step: the number of the step last taken, where somebody counts them.
    """

    def __init__(self) -> None:
        self.step: Callable[[], int | None] = lambda: None
        self.elsewhere = 0.0
        self._here = _Here()

    def listen(self) -> None:
        """Begin, as soon as Orbax is imported."""
        for name in (*CLASSES, *FUNCTIONS):
            after_import(name, self._install)

    def _install(self, module: ModuleType) -> None:
        kind = CLASSES.get(module.__name__)
        for name in (*SAVES, *LOADS, *WAITS):
            replace(getattr(module, kind) if kind else module, name, self._around(name, of_class=bool(kind)))

    def _around(self, name: str, *, of_class: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        happened = guarded("noting a checkpoint")(self._happened)

        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                here, run = self._here, active()
                here.saves |= name in SAVES
                here.named &= here.inside
                if run is not None and name in SAVES and not here.named:
                    here.named = identity.put(original, run, args, kwargs)
                if here.inside or (name in WAITS and not here.saves):
                    return original(*args, **kwargs)
                here.inside = True
                began = perf_counter()
                try:
                    with contextlib.nullcontext() if run is None else run.phase("checkpoint"):
                        result = original(*args, **kwargs)
                finally:
                    here.inside = False
                    seconds = perf_counter() - began
                    self.elsewhere += seconds
                if result is not False and not (result is None and name.endswith("_async")):
                    saver, given = (args[0], args[1:]) if of_class else (None, args)
                    happened(name, saver, given, kwargs, seconds)
                return result

            return call

        return around

    def _happened(self, name: str, saver: Any, args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float) -> None:
        run = active()
        if run is None and name in LOADS and _goes_on(saver):
            identity.read(_folder(saver, args, kwargs))
        if run is not None and name in SAVES:
            row = {"time/checkpoint": seconds}
            step = self.step()
            run.log(row, commit=False, ranks="all") if step is None else log_aside(run, row, step, ranks="all")
            report("time/checkpoint", "recorded", NAME)
            run.event("checkpoint", str(_folder(saver, args, kwargs)), seconds=seconds)


def _goes_on(saver: Any) -> bool:
    """Whether who reads here will write here: a manager. What a bare checkpointer or a read-only manager reads may be anybody's."""
    steps = hasattr(saver, "latest_step") or hasattr(saver, "latest")
    return steps and not getattr(getattr(saver, "_options", None), "read_only", False)


def _folder(saver: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Where a checkpoint lies: a manager is told a step, a checkpointer and a function a folder."""
    given = args[0] if args else next((kwargs[name] for name in ("step", "directory", "path") if name in kwargs), None)
    root = getattr(saver, "directory", None)
    if root is None:
        return Path(given) if isinstance(given, str) else given
    step = _latest(saver) if given is None else given
    step = getattr(step, "step", step)
    with guard("naming a checkpoint"):
        return root / saver._step_name_format.build_name(step)  # noqa: SLF001 - no other way tells
    return root / str(step)


def _latest(saver: Any) -> Any:
    return saver.latest_step() if hasattr(saver, "latest_step") else saver.latest


checkpoints = Checkpoints()
"""Of this process."""
