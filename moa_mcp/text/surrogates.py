"""Lone UTF-16 surrogates: JSON and command-line arguments can contain them, but no encoder accepts them."""

from __future__ import annotations


def is_encodable(text: str) -> bool:
    """Whether a text has no surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def mended(text: str) -> str:
    """Return the text with surrogate pairs joined and lone surrogates replaced by U+FFFD.

    JavaScript servers may split a pair between two pieces of a stream, and JSON can contain lone surrogates (RFC 8259,
    section 8.2).
    """
    if text.isascii() or is_encodable(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def escaped(name: str) -> str:
    r"""Return a name with lone surrogates escaped as in JSON, ``\ud800``, so that a message can quote it."""
    if name.isascii() or is_encodable(name):
        return name
    joined = name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return joined.encode("utf-8", "backslashreplace").decode()
