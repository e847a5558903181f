"""Bearer tokens of callers.

A token has 256 random bits, so that its plain SHA-256 is safe to store: slow password hashes protect secrets that can
be guessed. Nor must a lookup by hash take constant time: its time tells something about the hash, not the token.
"""

from __future__ import annotations

import hashlib
import secrets

_PREFIX = "moa_"
"""Lets programs that search files for secrets recognize a token."""


def new() -> str:
    """Return a new token of letters, digits, `_` and `-`."""
    return f"{_PREFIX}{secrets.token_urlsafe(32)}"


def hashed(token: str) -> str:
    """Return the SHA-256 of a token, 64 hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
