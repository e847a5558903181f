"""How images are shown where their content is not: in traces, at the terminal, in spans, and to models without them."""

from __future__ import annotations

from collections.abc import Iterable

from moa_mcp.images.image import Image


def data(image: Image) -> dict[str, object]:
    """Return an image as JSON, without its content."""
    if image.is_address:
        return {"url": image.url}
    return {
        "type": image.media_type,
        "bytes": image.size,
        "width": image.width,
        "height": image.height,
        "sha256": image.content_sha256,
    }


def listed(images: Iterable[Image]) -> str:
    """Return images as one line for each."""
    return "\n".join(f"[image {number}: {image}]" for number, image in enumerate(images, 1))
