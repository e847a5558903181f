"""Connections to a database: how they are made, a few of them shared by reads, and what an outage does to them."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from moa_mcp.errors import JournalError
from moa_mcp.journal.address import shown
from moa_mcp.journal.delivery import Delivery
from moa_mcp.journal.postgres.failures import explained, is_passing
from moa_mcp.journal.postgres.migrating import migrated
from moa_mcp.journal.postgres.pooling import require_news

logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # it warns of broken connections, which are replaced here

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
Value = TypeVar("Value")

PATIENT_S = 20.0
"""Seconds for which work waits for a database that was there before."""
_AT_ONCE = 4
"""Connections that read."""
SILENT_S = 15.0
"""Seconds without an answer after which a connection counts as broken."""
_DEFAULTS: dict[str, Any] = {
    "application_name": "moa-mcp",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A host that is gone is noticed within seconds; the address may say otherwise."""


_NOTICE_DEATH = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
"""The server notices within seconds that a host with a lock is gone."""
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"


@contextmanager
def watched(connection: Connection) -> Generator[None]:
    """Break a connection on which work takes too long: the server, or the network to it, no longer answers."""
    alarm = asyncio.get_running_loop().call_later(SILENT_S, _shut, connection)
    try:
        yield
    finally:
        alarm.cancel()


def _shut(connection: Connection) -> None:
    """End a connection as its server would. To cancel a statement would need an answer."""
    with suppress(OSError, psycopg.Error):
        shut = socket.socket(fileno=connection.fileno())
        try:
            shut.shutdown(socket.SHUT_RDWR)
        finally:
            shut.detach()


class Database:
    """A database of runs. It belongs to the loop of its connections."""

    def __init__(self, address: str, delivery: Delivery | None, *, power: bool) -> None:
        """Take an address, and the queue that has its tables there, if there is one.

        With `power`, a commit survives a power failure, whatever the server's default is.

        Raises:
            JournalError: the address is not one.

        """
        self.shown = shown(address)
        self._delivery = delivery
        self._power = power
        try:
            given = conninfo_to_dict(address)
            _ = [int(port) for port in str(given.get("port") or 0).split(",")]
            self._conninfo = make_conninfo("", **{**_DEFAULTS, **given})
        except (psycopg.Error, ValueError):  # their messages may quote a password
            raise JournalError(
                f"the journal {self.shown} is not the address of a database; write "
                "postgresql://USER:PASSWORD@HOST/DATABASE, with special characters of the password encoded, such "
                "as %40 for @"
            ) from None
        self._idle: list[Connection] = []
        self._limit = asyncio.Semaphore(_AT_ONCE)
        self._opening = asyncio.Lock()
        self.was_open = False

    async def open(self) -> None:
        """Create or upgrade the tables, once. Raises `JournalError`."""
        async with self._opening:
            if self.was_open:
                return
            try:
                connection = await self.connected()
                try:
                    await require_news(connection, self.connected, self.shown)
                    await migrated(connection, self.shown, self._delivery)
                except BaseException:
                    await connection.close()
                    raise
            except (psycopg.Error, OSError) as error:
                raise explained(self.shown, error) from None
            self._idle.append(connection)
            self.was_open = True

    async def connected(self) -> Connection:
        """Return a new connection, which commits each statement."""
        connection: Connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        if self._power:
            await connection.execute("SET synchronous_commit TO on")
        return connection

    async def locked(self, name: str) -> tuple[Connection, bool]:
        """Return a connection, and whether it alone has the lock of that name, until it is closed or breaks.

        Raises:
            JournalError: the database can't be reached.

        """
        try:
            connection = await self.connected()
            await connection.execute(_NOTICE_DEATH)
            row = await (await connection.execute(_LOCK, (name,))).fetchone()
        except (psycopg.Error, OSError) as error:
            raise explained(self.shown, error) from None
        return connection, bool(row and row[0])

    async def do(self, work: Callable[[Connection], Awaitable[Value]]) -> Value:
        """Do work on a connection. During an outage it waits and is done again, so it must bear that.

        Raises:
            JournalError: it failed, or the outage lasts too long.

        """
        await self.open()
        last, pause_s = time.monotonic() + PATIENT_S, 0.05
        while True:
            try:
                async with self._one() as connection:
                    with watched(connection):
                        return await work(connection)
            except (psycopg.Error, OSError) as error:
                if not is_passing(error) or time.monotonic() > last:
                    raise explained(self.shown, error) from None
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 1.0)

    @asynccontextmanager
    async def _one(self) -> AsyncGenerator[Connection]:
        """Lend a connection. It is closed if the work fails, and so are idle ones, which may be as broken."""
        async with self._limit:
            connection = self._idle.pop() if self._idle else await self.connected()
            try:
                yield connection
            except BaseException:
                for each in (connection, *self._idle):
                    await each.close()
                self._idle.clear()
                raise
            self._idle.append(connection)

    async def close(self) -> None:
        """Close idle connections; no work may be in progress."""
        for each in self._idle:
            await each.close()
        self._idle.clear()
