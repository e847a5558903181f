"""Halves of characters (UTF-16 surrogates), which JSON and a command's arguments can hold, and no encoder takes."""

from __future__ import annotations


def mended(text: str) -> str:
    """Return the text with the halves of surrogate pairs joined, and a character in place of a half that is alone.

    Servers in JavaScript cut a stream between them, and JSON can write them (RFC 8259, section 8.2).
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
