"""The tables of the queue: those of Procrastinate, in a schema of their own, upgraded one step after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, LiteralString, TypeAlias

from procrastinate.schema import SchemaManager
from psycopg import AsyncConnection

from moa_mcp.errors import JournalError

Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]

SCHEMA: Final = "moa_queue"
_TABLE: Final = 'CREATE TABLE IF NOT EXISTS moa_queue.migrations(name TEXT COLLATE "C" PRIMARY KEY)'


async def migrated(connection: Connection) -> None:
    """Create or upgrade the tables, in a transaction that only one process at a time has.

    Raises:
        JournalError: a newer version of Procrastinate made them.

    """
    if not await _first(connection, "SELECT to_regnamespace('moa_queue') IS NOT NULL"):  # to create it takes a right
        await connection.execute("CREATE SCHEMA moa_queue")
    await connection.execute(_TABLE)
    last = await _first(connection, "SELECT max(name) FROM moa_queue.migrations")
    known = steps()
    newest = max(known)
    if last is not None and last > newest:
        raise JournalError(
            f"the queue was upgraded by a newer version (step {last}, this one knows {newest}); update moa-mcp[team]"
        )
    await connection.execute("SET LOCAL search_path TO moa_queue")
    if last is None:
        await connection.execute(SchemaManager.get_schema())
    else:
        for name in sorted(each for each in known if each > last):
            await connection.execute(known[name])
    await connection.execute("SET LOCAL search_path TO DEFAULT")
    if last != newest:
        await connection.execute("INSERT INTO moa_queue.migrations VALUES(%s)", (newest,))


async def _first(connection: Connection, sql: LiteralString) -> Any:  # noqa: ANN401  a column of any type
    row = await (await connection.execute(sql)).fetchone()
    return row[0] if row else None


def steps() -> dict[str, bytes]:
    """Return the statements of each step, by its name; the names are in order."""
    found = Path(SchemaManager.get_migrations_path()).glob("*.sql")
    return {each.stem: each.read_bytes() for each in found}
