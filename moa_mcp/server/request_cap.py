"""A maximum of requests at once: a server that is busy says so at once, and stays fast for those that it answers."""

from __future__ import annotations

import logging
import time
from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from moa_mcp.server.refusals import HttpRefusal

RETRY_S = 2
"""Seconds after which a refused client should try again."""
_WARN_EVERY_S = 60.0

_log = logging.getLogger(__name__)


class RequestCap:
    """Middleware: passes on a number of requests at once, and answers others with status 503.

    It counts requests that have arrived completely. GET requests do not count: they are streams of notifications, which
    stay open and cost little.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._active = 0
        self._warned_at = -_WARN_EVERY_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._pass_on(self._app, scope, receive, send)

    def shared_by(self, app: ASGIApp) -> ASGIApp:
        """Return another application, whose requests count towards the same maximum."""
        return partial(self._pass_on, app)

    async def _pass_on(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "GET":
            await app(scope, receive, send)
        elif self._active >= self._most:
            await self._refuse(scope, receive, send)
        else:
            self._active += 1
            try:
                await app(scope, receive, send)
            finally:
                self._active -= 1

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if time.monotonic() - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = time.monotonic()
            _log.warning("requests are refused: %d are being answered, as --max-requests allows", self._most)
        why = f"this server answers {self._most} requests already; try again in a few seconds"
        await HttpRefusal(503, "busy", why, {"Retry-After": str(RETRY_S)})(scope, receive, send)
