"""Accelerate's data loaders read one batch ahead: its samples count when the program gets it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from rankzero.plugin import replace
from rankzero_pytorch.zero_change.hooks import loop


def listen() -> None:
    """Listen to the loaders that an Accelerator prepares, if the program has them."""
    module = sys.modules.get("accelerate.data_loader")
    if module is not None:
        replace(module.DataLoaderShard, "__iter__", _around_iter)


def _around_iter(original: Callable[..., Any]) -> Callable[..., Any]:
    def __iter__(loader: Any) -> Iterator[Any]:  # noqa: N807 - what it replaces
        samples, ahead = loop.seen.samples, 0
        batches = original(loader)
        try:
            while True:
                total = samples.total
                try:
                    batch = next(batches)
                except StopIteration:
                    return
                was, ahead = ahead, samples.last if samples.total > total else 0
                samples.total += was - ahead
                samples.new += was - ahead
                yield batch
        finally:
            batches.close()

    return __iter__
