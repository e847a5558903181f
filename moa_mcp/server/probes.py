"""Answers the requests of load balancers and orchestrators: /health and /ready.

They need no token and may name any host: such programs connect to an address and have no secrets. The answers hold
none, and are the same for everybody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from moa_mcp.server.health import Health

HEALTH, READY = "/health", "/ready"
RETRY_S = 5
"""Seconds after which to ask a process again that is not ready."""
_FRESH = {"Cache-Control": "no-store"}


class Probes:
    """Answers requests to /health and /ready, and passes on others."""

    def __init__(self, app: ASGIApp, health: Health) -> None:
        self._app = app
        self._health = health
        self._paths: dict[str, Callable[[], Awaitable[Response]]] = {HEALTH: self._alive, READY: self._ready}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._paths.get(scope["path"]) if scope["type"] == "http" else None
        if answer is None:
            await self._app(scope, receive, send)
        elif scope["method"] in {"GET", "HEAD"}:
            await (await answer())(scope, receive, send)
        else:
            await Response(status_code=405, headers={"Allow": "GET, HEAD"})(scope, receive, send)

    async def _alive(self) -> Response:
        return JSONResponse({"status": "ok"}, headers=_FRESH)

    async def _ready(self) -> Response:
        unready = await self._health.unready()
        if unready is None:
            return JSONResponse({"status": "ready"}, headers=_FRESH)
        body = {"status": "unready", "reason": unready.reason, "message": unready.message}
        return JSONResponse(body, 503, {**_FRESH, "Retry-After": str(RETRY_S)})
