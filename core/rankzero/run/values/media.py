"""What can be logged beside numbers: images, histograms, texts and files. Made in the training thread, encoded in the writer's."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, NamedTuple

from rankzero.errors import UsageError
from rankzero.run.values.arrays import Deferred, Unsupported, hold
from rankzero.run.values.histogram import Bins, Histogram
from rankzero.run.values.pixels import pixels
from rankzero.run.values.png import encode_png, png_size
from rankzero.run.values.scalars import is_array

__all__ = ["Bins", "Encoded", "File", "Histogram", "Image", "Text", "is_picture"]

LARGEST_FILE = 100_000_000
"""Bytes of a logged image file or File; `run.save` copies larger ones."""

_SAVED_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}
_KINDS = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"RIFF": ".webp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"<svg": ".svg",
    b"<?xml": ".svg",
}


class Encoded(NamedTuple):
    """A file to be: its content, the ending of its name, and what is known about it."""

    data: bytes
    extension: str
    info: dict[str, Any]


class Image:
    """A picture to log.

    Args:
        data_or_path: an array or tensor of shape (height, width), (height, width, channels) or (channels, height, width)
            with integers 0 to 255 or floats 0 to 1; a PIL image; a matplotlib figure (drawn at once, since the next line
            usually clears it); or the path of an image file (read at once).
        caption: a line of text shown with it.

    Arrays are copied, so what becomes of them afterwards does not matter; encoding happens off the training thread.
    """

    def __init__(self, data_or_path: Any, caption: str | None = None) -> None:
        self.caption = "" if caption is None else str(caption)
        self._source = _source(data_or_path)

    def ready(self) -> bool:
        """Whether `encode` returns without waiting for a device."""
        return self._source.ready() if isinstance(self._source, Deferred) else True

    def value(self) -> Image:
        """Itself: an image may be waited for like any value that lies on a device."""
        return self

    def encode(self) -> Encoded:
        """The picture as a file (PNG, or the given file as it is). Called off the training thread.

        Raises:
            UsageError: what was given is no picture.
        """
        source = self._source.value() if isinstance(self._source, Deferred) else self._source
        if isinstance(source, Unsupported):
            raise UsageError(source.reason)
        if isinstance(source, bytes):
            return _encoded_file(source)
        if _is_pil(source):
            return _encoded_pil(source)
        width, height, channels, data = pixels(source)
        info = {"width": width, "height": height, "channels": channels}
        return Encoded(encode_png(width, height, channels, data), ".png", info)


class Text:
    """A text to log; a plain str means the same."""

    def __init__(self, text: Any) -> None:
        self.text = str(text)


class File:
    """A file to log; its content is read soon after by the writer thread.

    Args:
        path: the file.
        caption: a line of text shown with it.
    """

    def __init__(self, path: str | os.PathLike[str], caption: str | None = None) -> None:
        self.path = Path(path).absolute()
        self.caption = "" if caption is None else str(caption)

    def encode(self) -> Encoded:
        """The file's content.

        Raises:
            UsageError: it cannot be read or is too large.
        """
        content = _content(self.path)
        if isinstance(content, Unsupported):
            raise UsageError(content.reason)
        return Encoded(content, self.path.suffix, {"name": self.path.name})


def is_picture(value: Any) -> bool:
    """Whether a value says of itself that it is a picture: a PIL image or a matplotlib figure."""
    return _is_pil(value) or _is_figure(value)


def _source(given: Any) -> Any:
    if isinstance(given, str | os.PathLike):
        return _content(Path(given))
    if _is_pil(given):
        return given.copy()
    if _is_figure(given):
        drawn = io.BytesIO()
        given.savefig(drawn, format="png")
        return drawn.getvalue()
    if is_array(given):
        return hold(given)
    return Unsupported(
        f"an image is made from an array, a PIL image, a matplotlib figure or a path, not a {type(given).__name__}"
    )


def _content(path: Path) -> bytes | Unsupported:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        return Unsupported(f"the file {str(path)!r} cannot be read ({getattr(error, 'strerror', None) or error})")
    if len(content) > LARGEST_FILE:
        return Unsupported(f"the file {str(path)!r} is larger than {LARGEST_FILE // 10**6} MB; keep it with run.save()")
    return content


def _encoded_file(content: bytes) -> Encoded:
    extension = next((ending for start, ending in _KINDS.items() if content.lstrip()[:8].startswith(start)), None)
    if extension is None:
        raise UsageError(
            "the image file is of no known kind (PNG, JPEG, GIF, BMP, WebP, TIFF, SVG); log it with rankzero.File"
        )
    size = png_size(content)
    return Encoded(content, extension, {} if size is None else {"width": size[0], "height": size[1]})


def _encoded_pil(image: Any) -> Encoded:
    saved = io.BytesIO()
    (image if image.mode in _SAVED_MODES else image.convert("RGB")).save(saved, format="PNG")
    return Encoded(saved.getvalue(), ".png", {"width": image.width, "height": image.height, "mode": image.mode})


def _is_pil(value: Any) -> bool:
    return _has_base(value, "PIL.Image.Image")


def _is_figure(value: Any) -> bool:
    return _has_base(value, "matplotlib.figure.Figure")


def _has_base(value: Any, name: str) -> bool:
    return any(f"{base.__module__}.{base.__qualname__}" == name for base in type(value).__mro__)
