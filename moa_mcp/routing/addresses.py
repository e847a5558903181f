"""Addresses of OpenAI-compatible servers: from what people write to what requests use. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

PATH = "/chat/completions"
BARE = "without a user, password or query"
"""Configuration and journal must not contain secrets."""
_ENDS = re.compile(r"/(?:chat/completions|completions|chat|models|responses|embeddings)$")
_NATIVE = re.compile(r"/api(?:/(?:chat|generate|tags))?$")
_VERSION = re.compile(r"/v\d+[a-z0-9]*(?:/|$)|/api/v\d+")


def problem(written: str) -> str:
    """Return what an address of a server should be and is not, such as ``with a host``; empty if it can be used."""
    address = trimmed(written)
    if not re.match(r"https?://", address, re.IGNORECASE):
        return "that begins with http:// or https://"
    if re.search(r"[?#]|//[^/]*@", address):
        return BARE
    try:
        host = urlsplit(address).hostname
    except ValueError:  # an incomplete IPv6 address
        host = None
    if not host:
        return "with a host, such as http://127.0.0.1:8000/v1"
    try:
        port = urlsplit(address).port
    except ValueError:
        port = 0
    return "with a port from 1 to 65535" if port == 0 else ""


def local_problem(written: str) -> str:
    """As `problem`, for a local server: the scheme may be missing."""
    return problem(_with_scheme(written))


def _with_scheme(written: str) -> str:
    return written if "://" in written else f"http://{written.strip()}"


def base(written: str) -> str:
    """Return the address before `PATH`. The input may include that path, blanks or slashes, or lack /v1."""
    address = trimmed(written)
    parts = urlsplit(address)
    return address if parts.path else f"{address}/v1"


def trimmed(written: str) -> str:
    """Return an address without blanks, trailing slashes and the path that every request appends."""
    address = "".join(written.split()).strip("\"'")
    scheme, separator, rest = address.partition("://")
    rest = re.sub(r"/{2,}", "/", rest).rstrip("/")
    while shorter := _ENDS.sub("", rest).rstrip("/"):
        if shorter == rest:
            break
        rest = shorter
    return f"{scheme}{separator}{rest}" if separator else address.rstrip("/")


def local_base(written: str) -> str:
    """Return the address of a local server. The scheme may be missing; the path may be that of its native API."""
    address = trimmed(_with_scheme(written))
    address = _NATIVE.sub("", address)
    return address if _VERSION.search(urlsplit(address).path) else f"{address}/v1"


def shown(url: str | None) -> str:
    """Return an address without user, password and query, since these may contain keys."""
    if not url:
        return ""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def advice(url: str) -> str:
    """Return what to check if a server answers, but has nothing at the path of the address."""
    address = shown(url).removesuffix(PATH)
    parts = urlsplit(address)
    if _VERSION.search(parts.path):
        return f"check the address: api_base is the part before {PATH}"
    usual = f"{parts.scheme}://{parts.netloc}/v1"
    return f"check the address: most servers answer at {usual}{PATH}, so set api_base to {usual}"
