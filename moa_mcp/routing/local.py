"""Which servers would only get slower by a second request for the same answer."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from moa_mcp.routing.routes import LOCAL, NO_KEY
from moa_mcp.values import Target


def is_local(target: Target) -> bool:
    """Return whether a target is a program or a model server of the user, rather than a provider or a gateway.

    A server on this machine or in its network that needs a key counts as a gateway.
    """
    if target.program is not None or target.provider in LOCAL:
        return True
    return target.api_key in {None, NO_KEY} and _is_near(urlsplit(target.api_base or "").hostname or "")


def _is_near(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".local")
    return address.is_private or address.is_loopback
