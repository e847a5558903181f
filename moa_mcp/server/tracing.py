"""The client's trace in HTTP headers. The SDK reads it from `_meta` of a message, which has precedence."""

from __future__ import annotations

import os

from mcp.server.context import CallNext, HandlerResult
from starlette.requests import Request

from moa_mcp.server.waiting import Context
from moa_mcp.telemetry import client_trace


async def in_client_trace(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Middleware: put the spans of a message under the trace of the HTTP request that carried it."""
    request: object = ctx.request
    if not isinstance(request, Request) or "traceparent" not in request.headers:
        return await call_next(ctx)
    with client_trace(os.environ, request.headers):
        return await call_next(ctx)
