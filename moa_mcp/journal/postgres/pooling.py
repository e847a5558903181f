"""Refuses a connection pooler that gives each transaction another connection of the server: news do not pass it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Any, TypeAlias

import psycopg

from moa_mcp.errors import JournalError

_Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
_LATE_S = 2.0


async def require_news(connection: _Connection, connect: Callable[[], Awaitable[_Connection]], shown: str) -> None:
    """Raise `JournalError` if news do not arrive. A direct connection, which knows the server's process, passes."""
    row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    if row is not None and row[0] == connection.info.backend_pid:
        return
    channel = f"moa_{token_hex(8)}"
    listener = await connect()
    try:
        await listener.execute(f"LISTEN {channel}".encode())
        await connection.execute("SELECT pg_notify(%s, '')", (channel,))
        async for _ in listener.notifies(timeout=_LATE_S, stop_after=1):
            return
    finally:
        await listener.close()
    raise JournalError(
        f"the journal {shown} can't be used: a connection pooler such as PgBouncer is in between, in a mode in which "
        "LISTEN does not work; use the address of the server itself, or set pool_mode = session"
    )
