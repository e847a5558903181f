"""Images of a question: what they are, how they are read and checked, and how many tokens they take.

No image is ever downloaded: an address goes to the provider as it is.
"""

from __future__ import annotations

from moa_mcp.images.image import Image
from moa_mcp.images.reading import (
    MOST_BYTES,
    MOST_IMAGES,
    MOST_TOTAL_BYTES,
    ImageRefused,
    checked,
    image_of_bytes,
    read_image,
)

__all__ = [
    "MOST_BYTES",
    "MOST_IMAGES",
    "MOST_TOTAL_BYTES",
    "Image",
    "ImageRefused",
    "checked",
    "image_of_bytes",
    "read_image",
]
