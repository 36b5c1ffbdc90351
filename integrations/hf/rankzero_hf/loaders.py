"""Accelerate's data loaders fetch ahead, skip, and share out: samples count as the program gets them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from rankzero.plugin import replace
from rankzero_pytorch.zero_change.hooks import loop

LOADERS = ("DataLoaderShard", "DataLoaderDispatcher", "SkipDataLoader")
_END = object()


def listen() -> None:
    """Listen to the loaders that an Accelerator prepares, if the program has them."""
    module = sys.modules.get("accelerate.data_loader")
    if module is not None:
        for name in LOADERS:
            replace(getattr(module, name), "__iter__", _around_iter)


def _around_iter(original: Callable[..., Any]) -> Callable[..., Any]:
    def __iter__(loader: Any) -> Iterator[Any]:  # noqa: N807 - what it replaces
        samples = loop.seen.samples
        batches = original(loader)
        try:
            while True:
                before = samples.total
                batch = next(batches, _END)
                samples.handed_over(None if batch is _END else batch, before)
                if batch is _END:
                    return
                yield batch
        finally:
            batches.close()

    return __iter__
