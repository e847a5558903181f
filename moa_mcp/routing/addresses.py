"""Addresses of OpenAI-compatible servers, as people write them and as they are asked. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

PATH = "/chat/completions"
_ENDS = re.compile(r"/(?:chat/completions|completions|chat|models|responses|embeddings)$")
_NATIVE = re.compile(r"/api(?:/(?:chat|generate|tags))?$")
_VERSION = re.compile(r"/v\d+[a-z0-9]*(?:/|$)|/api/v\d+")


def base(written: str) -> str:
    """Return the address before `PATH`, however it was written: with that, with slashes, with blanks, without /v1."""
    address = trimmed(written)
    parts = urlsplit(address)
    return address if parts.path else f"{address}/v1"


def trimmed(written: str) -> str:
    """Return an address without blanks around it, slashes at its end, and the part that every request adds."""
    address = "".join(written.split()).strip("\"'")
    scheme, separator, rest = address.partition("://")
    rest = re.sub(r"/{2,}", "/", rest).rstrip("/")
    while shorter := _ENDS.sub("", rest).rstrip("/"):
        if shorter == rest:
            break
        rest = shorter
    return f"{scheme}{separator}{rest}" if separator else address.rstrip("/")


def local_base(written: str) -> str:
    """Return the address of a server on one's own machine, where the scheme may be missing, or its own API be named."""
    address = written.strip()
    address = trimmed(address if "://" in address else f"http://{address}")
    address = _NATIVE.sub("", address)
    return address if _VERSION.search(urlsplit(address).path) else f"{address}/v1"


def shown(url: str | None) -> str:
    """Return an address without user, password and query, which may hold keys."""
    if not url:
        return ""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def advice(url: str) -> str:
    """Return what to do about an address where nothing answers under its path."""
    address = shown(url).removesuffix(PATH)
    parts = urlsplit(address)
    if _VERSION.search(parts.path):
        return f"is the address right? api_base is what stands before {PATH}"
    usual = f"{parts.scheme}://{parts.netloc}/v1"
    return f"is the address right? Most servers answer at {usual}{PATH}: set api_base to {usual}"
