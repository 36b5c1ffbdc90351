"""What a logged value is to the journal. Called off the training thread, when everything in it has arrived."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rankzero.run.config.nested import flatten
from rankzero.run.values.arrays import Deferred, Unsupported
from rankzero.run.values.histogram import Histogram
from rankzero.run.values.media import File, Image, Text, is_picture
from rankzero.run.values.scalars import is_array, scalar

Recordable: TypeAlias = (
    int | float | bool | str | Histogram | Image | File | Deferred | list[Image | File] | dict[str, Any] | Unsupported
)

_MEDIA = (Histogram, Image, File)


def classify(value: Any) -> Recordable:
    """The value as one of few things that can be recorded.

    Returns:
        A number, a text (`str`), a `Histogram` (also for arrays and lists of several numbers), an `Image` or `File`, a list of
        these, a dict with dotted names whose values are to be classified in turn, a `Deferred` whose `value()` is to be
        classified when it is `ready()`, or `Unsupported` with the reason in a sentence.
    """
    if isinstance(value, str | Text):
        return value.text if isinstance(value, Text) else str(value)
    if isinstance(value, (*_MEDIA, Deferred, Unsupported)):
        return value
    number = scalar(value)
    return _composite(value) if number is None else number


def _composite(value: Any) -> Recordable:
    if isinstance(value, Mapping):
        return flatten(value) or Unsupported("an empty dict holds nothing to record")
    if isinstance(value, list | tuple):
        return _sequence(value)
    if is_picture(value):
        return Image(value)
    if is_array(value) and math.prod(value.shape) != 1:
        return Histogram(value)
    return Unsupported(
        f"a value of type {type(value).__name__} cannot be recorded; log numbers, texts, arrays, dicts of these, "
        "or rankzero.Image, Histogram, Text and File"
    )


def _sequence(items: Sequence[Any]) -> Recordable:
    if not items:
        return Unsupported("an empty list holds nothing to record")
    media = [
        Image(item) if is_picture(item) else item
        for item in items
        if isinstance(item, Image | File) or is_picture(item)
    ]
    if len(media) == len(items):
        return media
    numbers = [scalar(item) for item in items]
    kept = [number for number in numbers if number is not None]
    if len(kept) != len(items):
        return Unsupported("a list can be recorded if it holds only numbers, or only images and files")
    return Histogram(kept) if len(kept) > 1 else kept[0]
