"""Listings that change only with the configuration: cached per kind of client. Capabilities say whether they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from moa_mcp.server import apps
from moa_mcp.server.doors import Doors
from moa_mcp.server.waiting import Context

_METHODS = frozenset({"tools/list", "prompts/list", "resources/templates/list"})


class Listings:
    """Caches the serialized results of listings, since validating and serializing them takes milliseconds."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._made: dict[tuple[str, str, bool, Sequence[str] | None], dict[str, Any]] = {}

    def forget(self) -> None:
        """Forget the results: the configuration has changed."""
        self._made.clear()

    async def keep(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Middleware: return the cached result of a listing, if the request has no special parameters."""
        if ctx.method not in _METHODS or not _plain(ctx):
            return await call_next(ctx)
        pipelines = self._doors.of(ctx).caller.permissions.pipelines
        key = ctx.method, ctx.protocol_version, apps.renders(ctx), pipelines
        if key not in self._made:
            result = await call_next(ctx)
            if not isinstance(result, dict):
                return result
            self._made[key] = result
        return self._made[key]


def _plain(ctx: Context) -> bool:
    """Whether a request is valid and asks for the first page."""
    params = ctx.params or {}
    return (
        ctx.session.client_capabilities is not None  # None before the handshake
        and params.keys() <= {"_meta"}
        and ("_meta" not in params or ctx.meta is not None)
    )


class McpServer(Server[None]):
    """The server of the SDK, which tells clients of 2025-11-25 and before whether the tools change."""

    tools_change = False

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        given = notification_options or NotificationOptions(tools_changed=self.tools_change)
        return super().create_initialization_options(given, experimental_capabilities, extensions)


def announce(server: McpServer) -> None:
    """Declare to clients of 2026-07-28 which lists change: that of resources, and of tools with the configuration.

    The SDK declares either all lists or none as changing.
    """

    async def discover(ctx: Context, params: types.RequestParams) -> types.DiscoverResult:
        del params
        capabilities = server.get_capabilities(protocol_version=ctx.protocol_version)
        unchanging = {
            "tools": types.ToolsCapability(list_changed=server.tools_change),
            "prompts": types.PromptsCapability(list_changed=False),
        }
        return types.DiscoverResult(
            supported_versions=list(MODERN_PROTOCOL_VERSIONS),
            capabilities=capabilities.model_copy(update=unchanging),
            instructions=server.instructions,
        )

    server.add_request_handler("server/discover", types.RequestParams, discover)
