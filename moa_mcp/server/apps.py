"""The MCP App that shows a run in a chat (extension io.modelcontextprotocol/ui, revision 2026-01-26).

It knows which clients render it, which tools it belongs to, and its page. The page follows a run with `moa_view`.
"""

from __future__ import annotations

from typing import Any

import mcp_types as types

from moa_mcp.server.waiting import Context

EXTENSION = "io.modelcontextprotocol/ui"
URI = "ui://moa/run"
MIME_TYPE = "text/html;profile=mcp-app"
_SHOWN = {"ui": {"resourceUri": URI}, "ui/resourceUri": URI}
"""Metadata of a tool whose calls show the page. Hosts of 2025 read the flat key."""
_PAGE: dict[str, Any] = {"ui": {"csp": {}, "prefersBorder": True}}
"""Metadata of the page. It loads nothing, so its policy names no domain."""
RESOURCE = types.Resource(
    uri=URI,
    name="run_view",
    title="A run, shown in the chat",
    description="Page for hosts that render MCP Apps.",
    mime_type=MIME_TYPE,
    _meta=_PAGE,
)


def renders(context: Context) -> bool:
    """Whether the client of this request has declared that it renders pages of MCP Apps."""
    capabilities = context.session.client_capabilities
    settings = ((capabilities and capabilities.extensions) or {}).get(EXTENSION)
    return settings is not None and MIME_TYPE in (settings.get("mimeTypes") or ())


def shown(tool: types.Tool) -> types.Tool:
    """Return a tool whose calls a host shows with the page."""
    return tool.model_copy(update={"meta": {**(tool.meta or {}), **_SHOWN}})


def contents() -> types.TextResourceContents:
    """Return the page."""
    from moa_mcp.viewer import app_page  # noqa: PLC0415  most clients render no pages

    return types.TextResourceContents(uri=URI, text=app_page(), mime_type=MIME_TYPE, _meta=_PAGE)
