"""The proxy that the server uses, and whether local servers are requested through it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from urllib.parse import urlsplit

from moa_mcp.cli.checked import safe
from moa_mcp.cli.doctor.diagnosis import Diagnosis
from moa_mcp.cli.doctor.hosts import HostEntry
from moa_mcp.routing import addresses
from moa_mcp.routing.local import LOCAL, base_of
from moa_mcp.routing.proxies import is_usable, proxy_for

_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_HOSTED = "https://api.openai.com/v1"
_CONNECT_S = 2.0


def of_proxy(host: HostEntry, shell: Mapping[str, str]) -> Iterator[Diagnosis]:
    """Yield what proxies do to requests of the server; `shell` is the environment of the user's shell."""
    where = str(host.file or "")
    missing = [name for name in set_in(shell) if name.lower() not in {each.lower() for each in set_in(os.environ)}]
    if missing:
        message = f"set in your shell, but not for the server: {', '.join(missing)}"
        remedy = "If your network needs the proxy, add these variables to the entry."
        yield Diagnosis("warning", "proxy", message, where, remedy=remedy)
    proxy = proxy_for(_HOSTED)
    if not is_usable(proxy):
        message = f"the server can't use the proxy {shown(proxy)}: only http:// and https:// are supported"
        yield Diagnosis("problem", "proxy", message, where, remedy="Set HTTPS_PROXY to an HTTP proxy, or remove it.")
    elif proxy is not None:
        yield _reached(proxy, where)
    behind = {base_of(local, os.environ) for local in LOCAL.values()}
    local = sorted({urlsplit(base).hostname or "" for base in behind if proxy_for(base)})
    if local:
        message = f"requests to servers on this machine ({', '.join(local)}) go through the proxy"
        value = ",".join(dict.fromkeys([*filter(None, [os.environ.get("NO_PROXY", "")]), *local, "localhost"]))
        remedy = "Add this to the environment of the entry, and to that of your shell:"
        yield Diagnosis("warning", "proxy", message, where, remedy=remedy, commands=(f"export NO_PROXY={value}",))
    if not (missing or proxy or local):
        yield Diagnosis("ok", "proxy", "none")


def set_in(environ: Mapping[str, str]) -> list[str]:
    """Return the variables of proxies that are set."""
    return [name for name, value in environ.items() if name.lower() in _NAMES and value.strip()]


def shown(proxy: str | None) -> str:
    """Return an address without its user and password."""
    return safe(addresses.shown(proxy))


def _reached(proxy: str, where: str) -> Diagnosis:
    parts = urlsplit(proxy)
    with suppress(OSError, ValueError):
        address = parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)
        with closing(socket.create_connection(address, _CONNECT_S)):
            return Diagnosis("ok", "proxy", f"requests to providers go through {shown(proxy)}")
    message = f"the proxy {shown(proxy)} does not accept connections"
    return Diagnosis("problem", "proxy", message, where, remedy="Correct HTTPS_PROXY or ALL_PROXY, or remove it.")
