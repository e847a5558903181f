"""The requests that are being answered. Those of a caller that was removed end, such as streams of notifications."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from moa_mcp.server.auth.authenticator import CallerUser
from moa_mcp.server.auth.challenges import Denied, response


class _Request:
    """One request, and how far its answer is."""

    def __init__(self, user: CallerUser, send: Send) -> None:
        self.user = user
        self.scope = anyio.CancelScope()
        self._send = send
        self._answered: bool | None = None
        """None before the answer begins, True at its end."""

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        self._answered = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def end(self, scope: Scope, receive: Receive) -> None:
        """Complete the answer of a request that was ended."""
        if self._answered is None:
            await response(Denied("invalid_token", "the token is unknown"))(scope, receive, self._send)
        elif not self._answered:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class OpenRequests:
    """Passes on requests, and ends them when their caller is removed, as if the client had closed the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: set[_Request] = set()

    def require(self, admits: Callable[[CallerUser], bool]) -> None:
        """End the requests of users that are no longer admitted."""
        for each in self._open:
            if not admits(each.user):
                each.scope.cancel()

    async def answer(self, user: CallerUser, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request until it is answered or ended."""
        request = _Request(user, send)
        self._open.add(request)
        try:
            with request.scope:
                await self._app({**scope, "user": user}, receive, request.send)
        finally:
            self._open.discard(request)
        if request.scope.cancelled_caught:
            await request.end(scope, receive)
