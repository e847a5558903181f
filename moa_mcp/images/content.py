"""The content of an image that was stored."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import NamedTuple

from moa_mcp.images.formats import media_type
from moa_mcp.images.image import Image


class Content(NamedTuple):
    """The bytes of an image, and their type."""

    data: bytes
    media_type: str


def content_of(image: Image) -> Content | None:
    """Return the content of an image; None for an address, and if only its hash was stored."""
    start, _, encoded = image.url.partition(",")
    if not start.startswith("data:"):
        return None
    try:
        data = b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    found = media_type(data)
    return None if found is None else Content(data, found)
