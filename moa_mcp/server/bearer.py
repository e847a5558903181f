"""Authentication over HTTP: all requests need the server's token."""

from __future__ import annotations

import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from moa_mcp.server.refusals import HttpRefusal

_BLANKS = b" \t"


class BearerAuth:
    """Passes on requests with the token (RFC 6750); rejects others."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._authorized(scope):
            await self._app(scope, receive, send)
            return
        # Closed, so that clients without a token can't occupy connections.
        headers = {"WWW-Authenticate": "Bearer", "Connection": "close"}
        description = "send the token of this server: Authorization: Bearer ..."
        await HttpRefusal(401, "unauthorized", description, headers)(scope, receive, send)

    def _authorized(self, scope: Scope) -> bool:
        """Whether a request has the token. The scheme is case-insensitive (RFC 9110, section 11.1)."""
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, token = given.strip(_BLANKS).partition(b" ")
        same = hmac.compare_digest(token.strip(_BLANKS), self._expected)
        return scheme.lower() == b"bearer" and same
