"""The value of an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from moa_mcp.places import Word


@dataclass(frozen=True, slots=True)
class Image:
    """An image: a data URI in base64, or an https address. Create it with `read_image` or `image_of_bytes`."""

    url: str = field(repr=False)
    """A text of the user: with `record = "hashes"` only its hash is stored."""
    media_type: Word = ""
    """Such as ``image/png``; empty for an address, as all other fields."""
    size: int = 0
    """Bytes of the image itself, without base64."""
    width: int = 0
    height: int = 0
    content_sha256: Word = ""
    """Of its bytes. The journal uses the name ``sha256`` for references to texts."""

    @property
    def is_address(self) -> bool:
        """Whether it is an address, which the provider must download."""
        return not self.media_type

    def __str__(self) -> str:
        """Return a short description, without its content."""
        if self.is_address:
            parts = urlsplit(self.url)
            return f"{parts.scheme}://{parts.hostname}{parts.path}" if parts.hostname else "an address"
        kind = self.media_type.removeprefix("image/").upper()
        return f"{kind}, {self.width} x {self.height}, {-(-self.size // 1000)} kB, sha256 {self.content_sha256[:12]}"
