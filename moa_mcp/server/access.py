"""Who may reach a server, by the address it listens on. It loads nothing that serves, so a refusal is quick."""

from __future__ import annotations

from moa_mcp.errors import MoaError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""The addresses that only this machine can reach."""


class CannotServe(MoaError):
    """The server can't listen as it is asked to."""


def require_token(host: str, token: str | None) -> None:
    """Raise `CannotServe` if a server on `host` can be reached by others and there is no token to keep them out."""
    if host not in LOOPBACK and not token:
        raise CannotServe(f"listening on {host} opens the server to other machines, which needs a token")
