"""Optimizer steps, whoever takes them: one call before and one after each, and their number.

A step of the job begins when an optimizer steps that has already stepped since the last one began. So two optimizers that take
turns (a GAN's, or Muon for matrices beside AdamW for the rest) share a step, and one that steps five times for another's once
makes five.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from rankzero.plugin import guarded, report
from rankzero_pytorch.internals import graph_task, uncompiled

Closure = Callable[[], Any]


class Listener(Protocol):
    """Who wants to know of optimizer steps."""

    def before_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> Closure | None:
        """The optimizer is about to step, for the `count`-th time of the job.

        Without a closure its gradients are final. With one, they are those of the last step: it has yet to call it. What is
        returned, if anything, takes the closure's place.
        """

    def after_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> None:
        """The optimizer has stepped; its gradients are still there."""


class _UnderWay:
    """A thread's optimizer step under way. `nested`: how many more it is made of; -1 for one that is none of ours."""

    __slots__ = ("closure", "nested", "optimizer")

    def __init__(self) -> None:
        self.optimizer: Optimizer | None = None
        self.closure: Closure | None = None
        self.nested = 0


class _Here(threading.local):
    def __init__(self) -> None:
        self.now = _UnderWay()


class Steps:
    """Counts the optimizer steps of this process and tells its listeners; in place only while there are any."""

    def __init__(self) -> None:
        self.count = 0
        self._stepped: set[int] = set()
        self._listeners: tuple[Listener, ...] = ()
        self._handles: list[Any] = []
        self._here = _Here()

    def add(self, listener: Listener) -> None:
        """Tell `listener` of every optimizer step from now on."""
        if listener in self._listeners:
            return
        self._listeners += (listener,)
        if not self._handles:
            self._handles = [
                register_optimizer_step_pre_hook(uncompiled(guarded("looking at an optimizer step")(self._before))),
                register_optimizer_step_post_hook(uncompiled(guarded("looking at an optimizer step")(self._after))),
            ]

    def remove(self, listener: Listener) -> bool:
        """Leave `listener` alone again; whether it had been told of steps."""
        listening = listener in self._listeners
        self._listeners = tuple(other for other in self._listeners if other is not listener)
        if not self._listeners:
            for handle in self._handles:
                handle.remove()
            self._handles = []
        return listening

    @property
    def heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    @property
    def under_way(self) -> bool:
        """Whether this thread is in the middle of an optimizer's step."""
        return _steps_under_way() > 0

    def pass_by(self) -> int:
        """The number of a step that a framework tells of, and that nobody here may have listened to."""
        if not self._listeners:
            self.count += 1
        return self.count

    def _before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        now = self._here.now
        if now.optimizer is not None and _steps_under_way() > 1:
            now.nested += 1
            return None
        now.optimizer, now.closure, now.nested = optimizer, None, 0
        if graph_task() != -1:
            report("gradients", "off", "pytorch", "optimizers step inside backward, one parameter at a time")
            now.nested = -1
            return None
        me, stepped = id(optimizer), self._stepped
        if me in stepped or not stepped:
            self.count += 1
            if len(stepped) != 1 or me not in stepped:
                stepped.clear()
                stepped.add(me)
        else:
            stepped.add(me)
        if kwargs or (len(args) > 1 and args[1] is not None):
            return self._with_closure(now, optimizer, args, kwargs)
        for listener in self._listeners:
            listener.before_step(optimizer, None, self.count)
        return None

    def _with_closure(
        self, now: _UnderWay, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        given = args[1] if len(args) > 1 else kwargs.get("closure")
        now.closure = closure = given if callable(given) else None
        for listener in self._listeners:
            closure = listener.before_step(optimizer, now.closure, self.count) or closure
        if closure is now.closure:
            return None
        return ((args[0], closure, *args[2:]), kwargs) if len(args) > 1 else (args, {**kwargs, "closure": closure})

    def _after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        now = self._here.now
        if now.nested > 0:
            now.nested -= 1
            return
        if now.optimizer is optimizer and not now.nested:
            for listener in self._listeners:
                listener.after_step(optimizer, now.closure, self.count)
        now.optimizer = now.closure = None


def _steps_under_way() -> int:
    """How many optimizers' `step` are on this thread's stack: two where one calls another, or its parent class's.

    One that raised is no longer there, which is how it is told from one that is under way.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - documented for this
    found = 0
    while (outer := frame.f_back) is not None:
        code = frame.f_code
        if (
            code.co_name == "wrapper"
            and code.co_filename.endswith("optimizer.py")
            and "profile_name" in code.co_varnames
        ):
            found += 1
        frame = outer
    return found


steps = Steps()
"""Of this process."""
