"""The norm of gradients before they are clipped, as the program's own `clip_grad_norm_` found it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from torch import Tensor
from torch.compiler import is_dynamo_compiling
from torch.nn.utils import clip_grad

from rankzero.plugin import guarded
from rankzero_pytorch.internals import shard_type
from rankzero_pytorch.patching import replace
from rankzero_pytorch.steps import steps


class Clipping:
    """Listens to `torch.nn.utils.clip_grad_norm_`, however it was imported: to the two functions that it calls."""

    def __init__(self) -> None:
        self._norm_type = 2.0
        self._seen: tuple[int, Tensor, int] | None = None

    def install(self) -> None:
        """Begin to listen."""
        replace(clip_grad, "_get_total_norm", self._around_total)
        replace(clip_grad, "_clip_grads_with_norm_", self._around_clip)

    def take(self, parameters: Collection[int]) -> tuple[Tensor, int] | None:
        """The last L2 norm seen of gradients of these parameters (by id), once; and how many ranks hold the same part of it."""
        seen, self._seen = self._seen, None
        if seen is None or seen[0] not in parameters or steps.count - seen[2] > 1:
            return None
        total = seen[1].detach()
        shard = shard_type()
        if shard is None or not isinstance(total, shard):
            return total, 1
        whole: Any = total
        copies = 1
        for size, placement in zip(whole.device_mesh.shape, whole.placements, strict=True):
            copies *= size if placement.is_replicate() else 1
        return whole.to_local(), copies

    def _around_total(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def get_total_norm(tensors: Any, norm_type: float = 2.0, *args: Any, **kwargs: Any) -> Any:
            if not is_dynamo_compiling():
                self._norm_type = norm_type
            return original(tensors, norm_type, *args, **kwargs)

        return get_total_norm

    def _around_clip(self, original: Callable[..., Any]) -> Callable[..., Any]:
        note = guarded("looking at a clipped gradient")(self._note)

        def clip_grads_with_norm(
            parameters: Any, max_norm: float, total_norm: Tensor, *args: Any, **kwargs: Any
        ) -> Any:
            if not is_dynamo_compiling():
                note(parameters, total_norm)
            return original(parameters, max_norm, total_norm, *args, **kwargs)

        return clip_grads_with_norm

    def _note(self, parameters: Any, total_norm: Tensor) -> None:
        if isinstance(parameters, list) and parameters and self._norm_type == 2:  # noqa: PLR2004 - the L2 norm
            self._seen = id(parameters[0]), total_norm, steps.count


clipping = Clipping()
"""Of this process."""
