"""Refusals of HTTP requests by the guards, in the form that the clients of a path expect."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from moa_mcp.server.openai.errors import PREFIX, ApiError


class HttpRefusal:
    """The answer to a refused request: as OAuth has it (RFC 6750), or as OpenAI for the paths of its API."""

    def __init__(self, status: int, code: str, description: str, headers: Mapping[str, str] | None = None) -> None:
        self._status = status
        self._code = code
        self._description = description
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._response(scope["path"])(scope, receive, send)

    def _response(self, path: str) -> JSONResponse:
        if path.startswith(PREFIX):
            return ApiError(self._status, self._code, self._description).response(self._headers)
        body = {"error": self._code, "error_description": self._description}
        return JSONResponse(body, self._status, self._headers)
