"""The proxy for an address, from the usual environment variables. Calls and probes use the same one.

The rules are curl's: ``http_proxy``, ``https_proxy`` and ``all_proxy`` name the proxy, and ``no_proxy`` lists
exceptions. Lowercase names take precedence. A proxy applies to local servers too, unless ``no_proxy`` lists them.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_PORTS = {"http": 80, "https": 443}
_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


def proxy_for(url: str, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the address of the proxy for a URL; None for a direct connection."""
    variables = os.environ if environ is None else environ
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = _named(parts.scheme, variables)
    if proxy is None:
        return _of_system(parts.scheme, host) if environ is None else None
    if not host or _bypasses(host, parts.port or _PORTS.get(parts.scheme), _read(variables, "no_proxy")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_usable(proxy: str | None) -> bool:
    """Whether the kind of proxy is supported; also True for a direct connection."""
    return proxy is None or proxy.lower().startswith(("http://", "https://"))


def remedy(url: str | None) -> str:
    """Return how to fix a proxy that does not answer."""
    host = urlsplit(url or "").hostname or "the server's name"
    return f"correct http_proxy, https_proxy or all_proxy, or bypass the proxy with no_proxy={host}"


def _named(scheme: str, variables: Mapping[str, str]) -> str | None:
    own = _read(variables, f"{scheme}_proxy")
    return own or _read(variables, "all_proxy") or None


def _read(variables: Mapping[str, str], name: str) -> str:
    small = variables.get(name)
    if small is not None:
        return small.strip()
    if name == "http_proxy" and "REQUEST_METHOD" in variables:  # a request's header can set it (httpoxy)
        return ""
    return variables.get(name.upper(), "").strip()


def _of_system(scheme: str, host: str) -> str | None:
    """Return the proxy from the system settings of macOS or Windows."""
    return None if proxy_bypass(host) else getproxies().get(scheme)


def _bypasses(host: str, port: int | None, no_proxy: str) -> bool:
    return any(
        _matches(entry, host.lower().rstrip("."), port) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry
    )


def _matches(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    name, its_port = _split(entry)
    if its_port is not None and its_port != port:
        return False
    if (network := _network(name)) is not None:
        address = _address(host)
        return address is not None and address in network
    suffix = name.removeprefix("*").removeprefix(".").rstrip(".")
    return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))


def _split(entry: str) -> tuple[str, int | None]:
    entry = entry.partition("://")[2] or entry
    if found := re.fullmatch(r"\[([^\]]+)\](?::(\d{1,5}))?", entry):
        return found[1], int(found[2]) if found[2] else None
    if found := re.fullmatch(r"([^:]+):(\d{1,5})", entry):
        return found[1], int(found[2])
    return entry, None


def _network(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(name, strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
