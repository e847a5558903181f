"""The error for files that can't be used."""

from __future__ import annotations

from moa_mcp.errors import MoaError


class FileRefused(MoaError):
    """A file, or an image, that a question refers to can't be used."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
