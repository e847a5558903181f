"""Who may reach a server over HTTP. Imports no server code, so that an error appears quickly."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from moa_mcp.errors import MoaError

if TYPE_CHECKING:
    from moa_mcp.callers import CallersFile

_NAME = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
"""A name as it is in the header Host, in ASCII, or an address."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Addresses that only this machine can reach."""


class CannotServe(MoaError):
    """The server can't listen on this address."""


class ServerAccess(NamedTuple):
    """Who may reach a server."""

    token: str | None = None
    """The only token, for a server that does not tell its clients apart."""
    callers: CallersFile | None = None
    """Named callers, instead of one token."""
    public_url: str | None = None
    """The URL by which clients reach the server through a proxy, without the path of the MCP endpoint."""
    audit: Path | None = None
    """The file of the audit log. Without it, a server with callers writes it to stderr."""

    def check(self, host: str) -> None:
        """Raise `CannotServe` if a server on `host` is reachable from other machines and needs no token."""
        if host not in LOOPBACK and not self.token and self.callers is None:
            raise CannotServe(
                f"listening on {host} makes the server reachable from other machines and requires a token"
            )


def public(url: str) -> str:
    """Return the URL of `--public-url` without a slash at its end. Raises `CannotServe`."""
    parts = urlsplit(url)
    try:
        valid = _NAME.fullmatch(parts.hostname or "") is not None and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not (valid and secure) or parts.query or parts.fragment or parts.username is not None:
        raise CannotServe(f"{url!r} can't be the public URL: it should be https://NAME, without query and fragment")
    return url.rstrip("/")
