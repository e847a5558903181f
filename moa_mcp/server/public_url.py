"""The address by which clients reach a server, and the check that requests are meant for it.

Web pages can make a browser send requests to any address, also by a name that leads to this machine (DNS rebinding).
The headers Host and Origin tell them apart.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from moa_mcp.server.access import LOOPBACK
from moa_mcp.server.refusals import HttpRefusal
from moa_mcp.text.visible import quoted

_LOCAL = ("127.0.0.1", "localhost", "[::1]")
_DEFAULT_PORTS = {"https": 443, "http": 80}
_LONGEST = 200


class Allowed(NamedTuple):
    """The values of Host and Origin that a server accepts. A port `*` stands for any."""

    hosts: tuple[str, ...]
    origins: tuple[str, ...]


def allowed(host: str, public_url: str | None) -> Allowed | None:
    """Return what a server that listens on `host` accepts. None for everything: it has a token, and no known name."""
    hosts = [*_LOCAL, *(f"{name}:*" for name in _LOCAL)]
    origins = [f"http://{name}:*" for name in _LOCAL]
    if public_url is None:
        return Allowed(tuple(hosts), tuple(origins)) if host in LOOPBACK else None
    parts = urlsplit(public_url)
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    name = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    hosts += [name, f"{name}:{port}"] if port == _DEFAULT_PORTS[parts.scheme] else [f"{name}:{port}"]
    origins.append(f"{parts.scheme}://{parts.netloc}")
    return Allowed(tuple(hosts), tuple(origins))


class HostCheck:
    """Middleware: refuses requests with another Host or Origin, and says how to allow it."""

    def __init__(self, app: ASGIApp, accepted: Allowed) -> None:
        self._app = app
        self._accepted = accepted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> HttpRefusal | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get(b"host", ""), headers.get(b"origin", "")
        if not _matches(host, self._accepted.hosts):
            return HttpRefusal(
                421,
                "host_not_allowed",
                f"the Host header {_shown(host)} is not a name of this server; start it with --public-url "
                "https://NAME, or let the proxy send the Host header of the address that it connects to",
            )
        if origin and not _matches(origin, self._accepted.origins):
            return HttpRefusal(
                403,
                "origin_not_allowed",
                f"web pages of {_shown(origin)} may not call this server; only those of --public-url may",
            )
        return None


def _matches(given: str, accepted: tuple[str, ...]) -> bool:
    given = given.lower()
    return any(
        given.startswith(each.removesuffix("*")) and given.removeprefix(each.removesuffix("*")).isdigit()
        if each.endswith(":*")
        else given == each.lower()
        for each in accepted
    )


def _shown(header: str) -> str:
    return quoted(header[:_LONGEST])
