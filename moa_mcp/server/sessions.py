"""The open sessions of clients from before 2026-07-28, which get notifications without asking for them."""

from __future__ import annotations

import anyio
from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from moa_mcp.server.waiting import Context

_TELL_S = 5.0
"""Seconds that sending waits for a client that does not read."""


class Sessions:
    """Knows the sessions, and tells all of them that the tools have changed."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def watch(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Middleware: remember a session when its client is ready for notifications."""
        if ctx.method == "notifications/initialized" and ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            # The SDK has no public name for it.
            connection = ctx.session._connection  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            if connection not in self._open:
                self._open.add(connection)
                connection.exit_stack.callback(self._open.discard, connection)
        return await call_next(ctx)

    async def tell_tools_changed(self) -> None:
        """Notify all clients. It does not wait for those that do not read."""
        async with anyio.create_task_group() as tasks:
            for connection in list(self._open):
                tasks.start_soon(_tell, connection)


async def _tell(connection: Connection) -> None:
    with anyio.move_on_after(_TELL_S):
        await connection.send_tool_list_changed()
