"""Who may read the pages: only a browser on this machine with the key of this process, from the pages themselves.

The key in the address opens a page. The page keeps it in the storage of its origin, takes it out of the address bar,
and sends it as a header for data. Its cookie opens pages alone: other servers on this machine may see cookies.
"""

from __future__ import annotations

import re
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Literal

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEY_HEADER = "x-moa-key"
_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
"""Names of this machine. Any port: it may be forwarded. A page of another server has another name (DNS rebinding)."""
_OWN = frozenset({None, "same-origin", "none"})
"""Values of Sec-Fetch-Site for the pages themselves and for the address bar. Programs and old browsers send none."""
_REMEDY = "Open the address that moa-mcp view printed."
_HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_NOTHING = "default-src 'none'; frame-ancestors 'none'"


class Access:
    """The secrets of one process: a key for data, a cookie for pages, and tickets that open a page once."""

    def __init__(self) -> None:
        self.key = token_urlsafe(32)
        self.cookie = token_urlsafe(32)
        self._tickets: set[str] = set()

    def ticket(self) -> str:
        """Return a ticket: other users can see the address with which a browser is started."""
        ticket = token_urlsafe(32)
        self._tickets.add(ticket)
        return ticket

    def opens(self, request: Request, cookie_name: str) -> Literal["key", "cookie"] | None:
        """Return what a request for a page has to open it; None if it has nothing that does."""
        ticket = request.query_params.get("open", "")
        if ticket in self._tickets:
            self._tickets.remove(ticket)
            return "key"
        if _same(request.query_params.get("key", ""), self.key):
            return "key"
        return "cookie" if _same(request.cookies.get(cookie_name, ""), self.cookie) else None

    def reads(self, request: Request) -> bool:
        """Whether a request may read data."""
        return _same(request.headers.get(KEY_HEADER, ""), self.key)


class Guarded:
    """Refuses requests of other sites and other methods, and adds headers that browsers enforce to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request as ASGI."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                added = {name.encode(): value.encode() for name, value in _HEADERS.items()}
                policy = {b"content-security-policy": _NOTHING.encode()}
                message = {**message, "headers": [*(policy | headers | added).items()]}
            await send(message)

        response = _refusal(scope)
        await (self._app if response is None else response)(scope, receive, send_guarded)


def refused(reason: str, status: int = 403) -> Response:
    """Return a refusal in plain words."""
    return PlainTextResponse(f"{reason}\n", status)


def without_key() -> Response:
    """Return the refusal of a request without the key."""
    return refused(f"This page needs its key, and the key changes with each start. {_REMEDY}")


def _refusal(scope: Scope) -> Response | None:
    headers = Headers(scope=scope)
    if scope["method"] != "GET":
        response = refused(f"{scope['method'][:20]} is not possible: these pages can only be read.", 405)
        response.headers["allow"] = "GET"
        return response
    if not _HOST.fullmatch(headers.get("host", "")):
        return refused("This server answers only at 127.0.0.1 and localhost, not at another host name.", 421)
    if headers.get("sec-fetch-site") not in _OWN:
        return refused(f"Another site linked to or asked for this page. {_REMEDY}")
    return None


def _same(given: str, secret: str) -> bool:
    return compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())
