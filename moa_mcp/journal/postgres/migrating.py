"""Creates the tables of a journal, and upgrades those of an earlier version, by the files in `migrations/`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import psycopg

from moa_mcp.errors import JournalError
from moa_mcp.journal.delivery import Delivery

_VERSION = "SELECT to_regclass('moa.migrations') IS NOT NULL, current_setting('server_encoding'), current_database()"


@cache
def migrations() -> tuple[bytes, ...]:
    """Return the statements of each step, in order; the number of steps is the version."""
    folder = files("moa_mcp.journal.postgres") / "migrations"
    steps = sorted((each for each in folder.iterdir() if each.name.endswith(".sql")), key=lambda each: each.name)
    return tuple(each.read_bytes() for each in steps)


async def migrated(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], shown: str, delivery: Delivery | None = None
) -> None:
    """Make the tables those of this version. Processes that do so at once wait for each other.

    Raises:
        JournalError: the tables are of a newer version, or the database has another encoding than UTF-8.

    """
    latest = len(migrations())
    found = await _version(connection, shown)
    if found > latest:
        raise JournalError(
            f"the journal {shown} was upgraded by a newer moa-mcp (version {found}, this one knows {latest}); "
            "update moa-mcp, or use another database"
        )
    if found == latest and delivery is None:
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('moa-mcp migrations'))")
        if not await _has_schema(connection):
            await connection.execute("CREATE SCHEMA moa")
        await connection.execute("CREATE TABLE IF NOT EXISTS moa.migrations(version INTEGER PRIMARY KEY)")
        for number in range(await _version(connection, shown) + 1, latest + 1):
            await connection.execute(migrations()[number - 1])
            await connection.execute("INSERT INTO moa.migrations VALUES(%s)", (number,))
        if delivery is not None:
            await delivery.migrate(connection)


async def _has_schema(connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> bool:
    """Whether the schema exists. Its creation needs a right that a user may lack where an administrator made it."""
    row = await (await connection.execute("SELECT to_regnamespace('moa') IS NOT NULL")).fetchone()
    return bool(row and row[0])


async def _version(connection: psycopg.AsyncConnection[tuple[Any, ...]], shown: str) -> int:
    """Return the version of the tables; 0 if there are none."""
    row = await (await connection.execute(_VERSION)).fetchone()
    exists, encoding, database = row or (False, "", "")
    if encoding != "UTF8":
        raise JournalError(
            f"the journal {shown} can't be used: database {database} has the encoding {encoding}, which can't hold all "
            "texts; create one with: createdb --encoding UTF8 --template template0 NAME"
        )
    if not exists:
        return 0
    row = await (await connection.execute("SELECT coalesce(max(version), 0) FROM moa.migrations")).fetchone()
    return int(row[0]) if row else 0
