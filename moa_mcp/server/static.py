"""Listings that never change while a server runs: made once for each protocol version, and announced as unchanging."""

from __future__ import annotations

from typing import Any

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel import Server
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from moa_mcp.server.waiting import Context

_METHODS = frozenset({"tools/list", "prompts/list", "resources/templates/list"})


class Listings:
    """Keeps the results of listings as they go over the wire; checking and writing them anew takes milliseconds."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], dict[str, Any]] = {}

    async def keep(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Middleware: answer a listing as the first of its kind was answered, if it asks for the same."""
        if ctx.method not in _METHODS or not _plain(ctx):
            return await call_next(ctx)
        key = ctx.method, ctx.protocol_version
        if key not in self._made:
            result = await call_next(ctx)
            if not isinstance(result, dict):
                return result
            self._made[key] = result
        return self._made[key]


def _plain(ctx: Context) -> bool:
    """Whether a request would be served, and asks for the first page."""
    params = ctx.params or {}
    return (
        ctx.session.client_capabilities is not None  # before that there was no handshake
        and params.keys() <= {"_meta"}
        and ("_meta" not in params or ctx.meta is not None)
    )


def announce(server: Server[Any]) -> None:
    """Let a server say to clients of 2026-07-28 that only the list of its resources changes.

    The SDK says of all lists that they change if it says so of one.
    """

    async def discover(ctx: Context, params: types.RequestParams) -> types.DiscoverResult:
        del params
        capabilities = server.get_capabilities(protocol_version=ctx.protocol_version)
        unchanging = {
            "tools": types.ToolsCapability(list_changed=False),
            "prompts": types.PromptsCapability(list_changed=False),
        }
        return types.DiscoverResult(
            supported_versions=list(MODERN_PROTOCOL_VERSIONS),
            capabilities=capabilities.model_copy(update=unchanging),
            instructions=server.instructions,
        )

    server.add_request_handler("server/discover", types.RequestParams, discover)
