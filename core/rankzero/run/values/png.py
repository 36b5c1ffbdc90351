"""PNG files from raw pixels, with nothing but zlib."""

from __future__ import annotations

import struct
import zlib

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's number for grey, grey with alpha, RGB and RGBA, by the number of channels."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode_png(width: int, height: int, channels: int, pixels: bytes) -> bytes:
    """A PNG file of 8-bit pixels.

    Args:
        width: pixels in a row.
        height: rows.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
        pixels: `height * width * channels` bytes, row by row from the top.
    """
    stride = width * channels
    rows = b"".join(b"\0" + pixels[start : start + stride] for start in range(0, height * stride, stride))
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def png_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG file, or None if it is none."""
    if not content.startswith(_SIGNATURE) or content[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", content[16:24])
    return int(width), int(height)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
