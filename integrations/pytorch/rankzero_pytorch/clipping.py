"""The norm of gradients before they are clipped, as the program's own `clip_grad_norm_` found it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from torch import Tensor
from torch.nn.utils import clip_grad

from rankzero.plugin import replace
from rankzero_pytorch.internals import compiler_of_frames, shard_type, tracing
from rankzero_pytorch.steps import steps


class Clipping:
    """Listens to `torch.nn.utils.clip_grad_norm_`, however it was imported: to the two functions that it calls."""

    def __init__(self) -> None:
        self._norm_type = 2.0
        self._step = -1
        self._seen: dict[int, Tensor] = {}
        self._ours: dict[str, Any] = {}

    def install(self) -> None:
        """Begin to listen."""
        for name, around in {
            "_get_total_norm": self._around_total,
            "_clip_grads_with_norm_": self._around_clip,
        }.items():
            if name not in self._ours:
                replace(clip_grad, name, around)
                self._ours[name] = clip_grad.__dict__[name]

    def rest(self) -> None:
        """Nobody will ask for the norms of the next steps: the two functions are left alone, unless somebody else has wrapped them."""
        for name, ours in self._ours.items():
            if clip_grad.__dict__[name] is ours:
                setattr(clip_grad, name, ours.__wrapped__)

    def go_on(self) -> None:
        """Listen again."""
        for name, ours in self._ours.items():
            if clip_grad.__dict__[name] is ours.__wrapped__:
                setattr(clip_grad, name, ours)

    def take(self, parameters: Collection[int]) -> list[tuple[Tensor, int]]:
        """The L2 norms seen for this step of gradients of these parameters (by id), once; several where parts were clipped apart.

        With each, how many ranks hold the same part of it.
        """
        if steps.count - self._step > 1:
            return []
        mine = [first for first in self._seen if first in parameters]
        return [_local(self._seen.pop(first).detach()) for first in mine]

    def _around_total(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def get_total_norm(tensors: Any, norm_type: float = 2.0, *args: Any, **kwargs: Any) -> Any:
            if not tracing() and compiler_of_frames() is None:
                self._norm_type = norm_type
            return original(tensors, norm_type, *args, **kwargs)

        return get_total_norm

    def _around_clip(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def clip_grads_with_norm(
            parameters: Any, max_norm: float, total_norm: Tensor, *args: Any, **kwargs: Any
        ) -> Any:
            if not tracing() and compiler_of_frames() is None and self._norm_type == 2:  # noqa: PLR2004 - the L2 norm
                if self._step != steps.count:
                    self._step, self._seen = steps.count, {}
                if type(parameters) is list and parameters:
                    self._seen.setdefault(id(parameters[0]), total_norm)
            return original(parameters, max_norm, total_norm, *args, **kwargs)

        return clip_grads_with_norm


def _local(total: Tensor) -> tuple[Tensor, int]:
    shard = shard_type()
    if shard is None or not isinstance(total, shard):
        return total, 1
    whole: Any = total
    copies = 1
    for size, placement in zip(whole.device_mesh.shape, whole.placements, strict=True):
        copies *= size if placement.is_replicate() else 1
    return whole.to_local(), copies


clipping = Clipping()
"""Of this process."""
