"""What a mixed row becomes in the journal; called in the writer thread, when everything in it has arrived."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from rankzero import records
from rankzero.errors import MissingDependencyError, UsageError, guard, warn_once
from rankzero.run.values.arrays import Deferred, Unsupported
from rankzero.run.values.classify import classify
from rankzero.run.values.media import File, Histogram, Image
from rankzero.run.values.mixed import PLAIN, Mixed

Written = tuple[records.Record, bytes | None]
"""A record and, for media, the content of its file."""


def sort_out(row: Mixed, *, t: int, step: int, local: bool) -> tuple[dict[str, float], list[Written]]:
    """The numbers of a mixed row, and the records of everything else in it. Called in the writer thread.

    What cannot be recorded costs one warning naming its key; the rest of the row is kept.
    """
    sorter = _Sorter(t, step, local=local)
    for key, value in row.items():
        if type(value) in PLAIN:
            sorter.numbers[str(key)] = value
            continue
        with guard(f"recording {str(key)!r}"):
            sorter.place(str(key), value)
    return sorter.numbers, sorter.others


class _Sorter:
    def __init__(self, t: int, step: int, *, local: bool) -> None:
        self.numbers: dict[str, float] = {}
        self.others: list[Written] = []
        self._t = t
        self._step = step
        self._local = local

    def place(self, key: str, value: Any) -> None:
        """Sort one value in under its key."""
        found = value if isinstance(value, Deferred) and not isinstance(value, Image | Histogram) else classify(value)
        if isinstance(found, int | float):
            self.numbers[key] = found
        elif isinstance(found, str):
            text = records.Text(t=self._t, step=self._step, key=key, value=found, local=self._local)
            self.others.append((text, None))
        elif isinstance(found, dict):
            for name, item in found.items():
                self.place(f"{key}.{name}", item)
        elif isinstance(found, Unsupported):
            warn_once(f"value {key}", f"{key!r} was not recorded: {found.reason}")
        else:
            self._place_made(key, found)

    def _place_made(self, key: str, found: Histogram | Image | File | Deferred | list[Image | File]) -> None:
        try:
            if isinstance(found, Histogram):
                self._histogram(key, found)
            elif isinstance(found, Image | File):
                self._media(key, found, 0)
            elif isinstance(found, list):
                for index, item in enumerate(found):
                    self._media(key, item, index)
            else:
                self._arrived(key, found.value())
        except (UsageError, MissingDependencyError) as error:
            warn_once(f"value {key}", f"{key!r} was not recorded: {error}")

    def _arrived(self, key: str, value: Any) -> None:
        """A deferred value: a dict stands for its items, which have names of their own."""
        for name, item in value.items() if isinstance(value, dict) else [(key, value)]:
            self.place(str(name), item)

    def _histogram(self, key: str, histogram: Histogram) -> None:
        edges, counts, nonfinite = histogram.encode()
        record = records.Histogram(
            t=self._t,
            step=self._step,
            key=key,
            edges=edges,
            counts=counts,
            sampled=histogram.sampled,
            nonfinite=nonfinite,
            local=self._local,
        )
        self.others.append((record, None))

    def _media(self, key: str, media: Image | File, index: int) -> None:
        content, extension, info = media.encode()
        digest = hashlib.sha256(content).hexdigest()
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", key).strip(".")[:80]
        record = records.Media(
            t=self._t,
            step=self._step,
            key=key,
            type="image" if isinstance(media, Image) else "file",
            path=f"media/{name}-{self._step}-{index}-{digest[:10]}{extension}",
            sha256=digest,
            size=len(content),
            caption=media.caption,
            index=index,
            info=info,
            local=self._local,
        )
        self.others.append((record, content))
