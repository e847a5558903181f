"""The connection that listens to the news of all processes, while a caller in this process waits for news."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import psycopg

from moa_mcp.journal.news import News
from moa_mcp.journal.postgres.connections import Connection, Database, watched
from moa_mcp.journal.postgres.news import CHANNEL, read

PING_S = 10.0
"""Seconds of silence after which the connection is tested."""
_AGAIN_S = 0.2
_LONGEST_S = 2.0


class NewsConnection:
    """Listens until closed, and connects again after an outage. It belongs to the loop of the connections."""

    def __init__(self, database: Database, own: str, tell: Callable[[News], None]) -> None:
        """`own` is the sender of this process."""
        self._database = database
        self._own = own
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        """Set when it listens, or when the first attempt has failed."""

    async def start(self) -> None:
        """Return when it listens; during an outage without waiting for its end."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._listen())
        await self._tried.wait()

    async def _listen(self) -> None:
        pause_s, missed = _AGAIN_S, False
        while True:
            with suppress(psycopg.Error, OSError):
                connection = await self._database.connected()
                try:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._tried.set()
                    pause_s = _AGAIN_S
                    if missed:
                        self._tell(News("missed"))
                    await self._hear(connection)
                finally:
                    await connection.close()
            missed = True
            self._tried.set()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_S)

    async def _hear(self, connection: Connection) -> None:
        """Pass on what comes, until the connection breaks."""
        while True:
            async for note in connection.notifies(timeout=PING_S):
                for news in read(note.payload, self._own):
                    self._tell(news)
            with watched(connection):
                await connection.execute("SELECT 1")

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
