"""Recognizes PNG, JPEG, WebP and GIF by their first bytes, and reads width and height from their headers."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

KNOWN = "PNG, JPEG, WebP or GIF"
_MARKER = 0xFF
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""The JPEG markers that are followed by the size of the image."""
_MOST_MARKERS = 10_000
"""Before the size. A file of padding has millions."""
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


class Header(NamedTuple):
    """What the header of an image says."""

    media_type: str
    width: int
    height: int


_Size: TypeAlias = tuple[int, int]


def media_type(data: bytes) -> str | None:
    """Return the type of an image; None for everything that is not one of the known formats."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for mark, kind in _MARKS.items() if data.startswith(mark)), None)


def header(data: bytes) -> Header | None:
    """Return the type and size of an image; None if its header is cut off or damaged."""
    kind = media_type(data)
    if kind is None:
        return None
    try:
        width, height = _SIZES[kind](data)
    except (struct.error, IndexError, ValueError):
        return None
    return Header(kind, width, height) if width and height else None


def _png(data: bytes) -> _Size:
    if data[12:16] != b"IHDR":
        raise ValueError
    return struct.unpack(">II", data[16:24])


def _gif(data: bytes) -> _Size:
    return struct.unpack("<HH", data[6:10])


def _jpeg(data: bytes) -> _Size:
    at = 2
    for _ in range(_MOST_MARKERS):
        if data[at] != _MARKER:
            break
        marker = data[at + 1]
        if marker == _MARKER:  # padding
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        elif marker in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        else:
            at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    raise ValueError


def _webp(data: bytes) -> _Size:
    form = data[12:16]
    if form == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if form == b"VP8L" and data[20:21] == b"/":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if form == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError


_MARKS: Mapping[bytes, str] = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_SIZES: Mapping[str, Callable[[bytes], _Size]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
}
