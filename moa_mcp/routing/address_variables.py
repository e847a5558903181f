"""The environment variables with the addresses of providers, and what is wrong with their values."""

from __future__ import annotations

from collections.abc import Mapping

from moa_mcp.routing import addresses
from moa_mcp.routing.hosts import host
from moa_mcp.routing.local import LOCAL


def wrong_address(provider: str, environ: Mapping[str, str]) -> str:
    """Return the variable with the address of a provider and what it should be; empty if it can be used.

    The result continues "set".
    """
    name = _variable(provider, environ)
    if not name:
        return ""
    problem = (addresses.local_problem if provider in LOCAL else addresses.problem)(environ[name])
    return f"{name} to an address {problem}" if problem else ""


def _variable(provider: str, environ: Mapping[str, str]) -> str:
    """Return the variable that sets the address of a provider; empty if none does."""
    known = host(provider)
    if provider in LOCAL:
        names: tuple[str, ...] = (LOCAL[provider].variable,)
    elif known is not None:
        names = known.variables
    else:  # litellm's
        names = tuple(f"{provider.upper()}_{end}" for end in ("API_BASE", "BASE_URL"))
    return next((name for name in names if environ.get(name)), "")
