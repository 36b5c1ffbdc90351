"""Pixels out of arrays of any library, whichever way round they lie."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from rankzero.errors import MissingDependencyError, UsageError

_CHANNELS = {1, 3, 4}


class Pixels(NamedTuple):
    """An 8-bit picture: grey, RGB or RGBA, row by row from the top."""

    width: int
    height: int
    channels: int
    data: bytes


def pixels(value: Any) -> Pixels:
    """The picture in an array of shape (height, width), (height, width, channels) or (channels, height, width).

    Floats are 0 to 1 and clipped, integers 0 to 255 and clipped, booleans black and white. Where both ends of the shape could
    be channels, torch tensors have theirs first and all others last. Waits for the device the array lies on.

    Raises:
        UsageError: the array has another shape or type.
        MissingDependencyError: numpy is not installed.
    """
    array = _channels_last(_as_numpy(value), first=type(value).__module__.startswith("torch"))
    height, width, channels = array.shape
    return Pixels(width, height, channels, _as_bytes(array).tobytes())


def _as_numpy(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        raise MissingDependencyError("an image made from an array needs numpy: pip install numpy")
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
    array = numpy.asarray(value)
    return array.astype("float32") if array.dtype.kind == "V" and array.dtype.names is None else array


def _channels_last(array: Any, *, first: bool) -> Any:
    shape = array.shape
    while array.ndim > 3 and array.shape[0] == 1:  # noqa: PLR2004 - rows, columns and channels
        array = array[0]
    if array.ndim == 2:  # noqa: PLR2004 - rows and columns
        array, first = array[:, :, None], False
    if array.ndim == 3 and array.size:  # noqa: PLR2004
        is_first, is_last = array.shape[0] in _CHANNELS, array.shape[2] in _CHANNELS
        if is_first and (first or not is_last):
            return array.transpose(1, 2, 0)
        if is_last:
            return array
    raise UsageError(
        f"an image needs the shape (height, width), (height, width, channels) or (channels, height, width) with 1, 3 or 4 channels, not {shape}"
    )


def _as_bytes(array: Any) -> Any:
    kind = array.dtype.kind
    if kind == "b":
        return array.astype("uint8") * 255
    if kind == "f":
        numpy = sys.modules["numpy"]
        return numpy.rint(numpy.nan_to_num(array, nan=0.0).clip(0.0, 1.0) * 255.0).astype("uint8")
    if kind in "iu":
        return array.clip(0, 255).astype("uint8")
    raise UsageError(f"an image needs numbers, not an array of {array.dtype}")
