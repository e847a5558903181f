"""Decides which listen addresses require a token. Imports no server code, so that an error appears quickly."""

from __future__ import annotations

from moa_mcp.errors import MoaError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Addresses that only this machine can reach."""


class CannotServe(MoaError):
    """The server can't listen on this address."""


def require_token(host: str, token: str | None) -> None:
    """Raise `CannotServe` if a server on `host` is reachable from other machines and there is no token."""
    if host not in LOOPBACK and not token:
        raise CannotServe(f"listening on {host} makes the server reachable from other machines and requires a token")
