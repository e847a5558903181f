"""Halves of characters (UTF-16 surrogates), which JSON and a command's arguments can hold, and no encoder takes."""

from __future__ import annotations


def is_encodable(text: str) -> bool:
    """Whether a text holds no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def mended(text: str) -> str:
    """Return the text with the halves of surrogate pairs joined, and a character in place of a half that is alone.

    Servers in JavaScript cut a stream between them, and JSON can write them (RFC 8259, section 8.2).
    """
    if text.isascii() or is_encodable(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def escaped(name: str) -> str:
    r"""Return a name with a half that is alone written as JSON does, ``\ud800``, so that a message can quote it."""
    if name.isascii() or is_encodable(name):
        return name
    joined = name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return joined.encode("utf-8", "backslashreplace").decode()
