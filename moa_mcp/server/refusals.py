"""Refusals of HTTP requests by the guards, in the form that the clients of a path expect."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse
from starlette.types import Scope

from moa_mcp.server.openai.errors import PREFIX, ApiError


def refusal(
    scope: Scope, status: int, code: str, description: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the answer to a refused request: as OAuth has it (RFC 6750), or as OpenAI for the paths of its API."""
    if scope["path"].startswith(PREFIX):
        return ApiError(status, code, description).response(headers)
    return JSONResponse({"error": code, "error_description": description}, status, headers)
