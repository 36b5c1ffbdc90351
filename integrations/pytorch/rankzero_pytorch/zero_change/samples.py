"""What a program's data loaders deliver: how long it waits for them, and how many samples come."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from itertools import pairwise
from time import perf_counter
from typing import Any

from torch import Tensor

from rankzero.plugin import guarded
from rankzero_pytorch.driving import driving
from rankzero_pytorch.internals import LoaderFacts, loader_facts
from rankzero_pytorch.zero_change.clock import Clock


class Samples:
    """Counts this rank's training samples.

    Attributes:
        total: so far, of this rank.
        new: of them, since whoever takes them did so last.
        ranks: by how many ranks the data is shared out, if the loader's sampler says so (DistributedSampler does).
    """

    def __init__(self, clock: Clock) -> None:
        self.total = self.new = 0
        self.ranks: int | None = None
        self._clock = clock
        self._iterator: Any = None
        self._facts = LoaderFacts(None, None, collates=True)
        self._nested = False
        self._early: list[tuple[weakref.ref[Any], int]] = []  # iterators met before any training, and the total by then

    def restart(self) -> None:
        """Count from nothing again."""
        self.total = self.new = 0
        self._early = []

    def trained(self) -> None:
        """The first step is done: what came before it from loops over loaders that are over was not trained on."""
        for (iterator, total), (_, next_total) in pairwise(self._early):
            if iterator() is None:
                self.total -= next_total - total
        self._early = []

    def around_next(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For the `__next__` of a DataLoader's iterator."""
        count = guarded("counting samples")(self._count)

        def __next__(iterator: Any) -> Any:  # noqa: N807 - what it replaces
            clock = self._clock
            if driving.sees_all or self._nested or clock.away:
                return original(iterator)
            self._nested = True
            began = perf_counter()
            try:
                batch = original(iterator)
            finally:
                self._nested = False
                clock.input += perf_counter() - began
            kind, first = type(batch), batch  # the common cases, quickly
            if kind is dict:
                first = next(iter(batch.values()), None)
            elif kind is list and batch and self._facts.collates:
                first = batch[0]
            if type(first) is Tensor and first.ndim and iterator is self._iterator:
                size = first.shape[0]
                self.total += size
                self.new += size
            else:
                count(iterator, batch)
            return batch

        return __next__

    def around_iter(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For the `__iter__` of a DataLoader, which starts its workers."""

        def __iter__(loader: Any) -> Any:  # noqa: N807 - what it replaces
            began = perf_counter()
            try:
                return original(loader)
            finally:
                if not self._clock.away:
                    self._clock.input += perf_counter() - began

        return __iter__

    @guarded("counting samples")
    def handed_over(self, batch: Any, since: int) -> None:
        """A loader around another one gives the program a batch: that counts, not what the inner one fetched for it.

        Args:
            batch: that the program gets; None where there is none left, whatever was fetched and skipped.
            since: the total before the outer loader was asked for it.
        """
        if driving.sees_all or self._clock.away:
            return
        size = 0 if batch is None else batch_size(batch, self._facts)
        more = since + size - self.total
        self.total += more
        self.new += more

    def _count(self, iterator: Any, batch: Any) -> None:
        if iterator is not self._iterator:
            if self._clock.before_training:
                self._early.append((weakref.ref(iterator), self.total))
            self._iterator, self._facts = iterator, loader_facts(iterator)
            self.ranks = self._facts.ranks or self.ranks
        size = batch_size(batch, self._facts)
        self.total += size
        self.new += size


def batch_size(batch: Any, facts: LoaderFacts) -> int:
    """How many samples are in a batch: the length of its first tensor, unless it is a plain list of that many samples."""
    if not facts.collates and isinstance(batch, (list, tuple)) and len(batch) == facts.batch_size:
        return len(batch)
    first: Any = batch[0] if type(batch) in {list, tuple} and batch else batch
    if type(first) is Tensor and (sizes := first.shape):  # the common case, quickly
        return int(sizes[0])
    for _ in range(4):
        if isinstance(first, Mapping):
            first = next(iter(first.values()), None)
        elif isinstance(first, (list, tuple)) and first:
            first = first[0]
        else:
            break
    shape = getattr(first, "shape", None)
    if shape:
        return int(shape[0])
    return facts.batch_size or 0
