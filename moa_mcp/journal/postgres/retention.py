"""Deletes runs from PostgreSQL, oldest first, in small transactions that do not delay other writes."""

from __future__ import annotations

from typing import Final, NamedTuple

from moa_mcp.journal.postgres.connections import Connection
from moa_mcp.journal.spending import oldest_day

_SLICE = 50
"""Runs deleted in one transaction."""
_FREE: Final = "(status NOT IN ('queued', 'running') OR (status = 'running' AND lease_until < moa.now()))"
_SOME: Final = f"""
WITH old AS (
    DELETE FROM moa.runs WHERE run_id IN (
        SELECT run_id FROM moa.runs WHERE {_FREE} AND updated_at < %s ORDER BY updated_at LIMIT %s
        FOR UPDATE SKIP LOCKED)
    RETURNING run_id),
events AS (DELETE FROM moa.events USING old WHERE events.run_id = old.run_id),
texts AS (DELETE FROM moa.texts USING old WHERE texts.run_id = old.run_id)
SELECT count(*) FROM old
"""  # noqa: S608  no value is in it
_PAST: Final = """
WITH past AS (DELETE FROM moa.days WHERE day < %(day)s::date),
of_callers AS (DELETE FROM moa.caller_days WHERE day < %(day)s::date)
DELETE FROM moa.spending WHERE day < %(day)s::date
"""
_UNBOOKED: Final = """
DELETE FROM moa.rates WHERE account IN (
    SELECT account FROM moa.rates WHERE greatest(requests_until, tokens_until) < moa.now() FOR UPDATE SKIP LOCKED)
"""
_SIZES: Final = f"""
SELECT {_FREE}, updated_at,
    pg_column_size(spec) + 200
    + coalesce((SELECT sum(pg_column_size(body) + 100) FROM moa.events WHERE events.run_id = runs.run_id), 0)
    + coalesce((SELECT sum(pg_column_size(body) + 120) FROM moa.texts WHERE texts.run_id = runs.run_id), 0)
FROM moa.runs ORDER BY updated_at
"""  # noqa: S608

_WHOLE: Final = (
    "SELECT sum(pg_total_relation_size(name)) FROM unnest('{moa.runs,moa.events,moa.texts}'::regclass[]) AS name"
)


class OldRuns(NamedTuple):
    """Which inactive runs to delete."""

    older_than: float
    """Runs that were last changed before this time; seconds since the epoch."""
    beyond_bytes: int | None
    """The oldest runs while all runs together are larger. Deleted rows leave free space, which is used again."""

    async def old(self, connection: Connection) -> int:
        """Delete some runs that are old enough; return their number."""
        await connection.execute(_PAST, {"day": oldest_day()})
        await connection.execute(_UNBOOKED)
        return await _deleted(connection, self.older_than, _SLICE)

    async def excess(self, connection: Connection) -> int:
        """Return the number of runs to delete because all together are too large."""
        if self.beyond_bytes is None or await _whole(connection) <= self.beyond_bytes:
            return 0
        return await OldRuns(0.0, self.beyond_bytes).would(connection)

    async def oldest(self, connection: Connection, most: int) -> int:
        """Delete some of the oldest runs; return their number."""
        return await _deleted(connection, float("inf"), min(most, _SLICE))

    async def would(self, connection: Connection) -> int:
        """Return the number of runs that would be deleted."""
        rows = [_Run(*row) for row in await (await connection.execute(_SIZES)).fetchall()]
        size, gone = sum(run.bytes for run in rows), 0
        for run in rows:
            too_big = self.beyond_bytes is not None and size > self.beyond_bytes
            if run.free and (run.updated_at < self.older_than or too_big):
                size -= run.bytes
                gone += 1
        return gone


class _Run(NamedTuple):
    free: bool
    updated_at: float
    bytes: int


async def _whole(connection: Connection) -> int:
    """Return the bytes on the disk, which are more than those of the runs."""
    row = await (await connection.execute(_WHOLE)).fetchone()
    return int(row[0]) if row else 0


async def _deleted(connection: Connection, before: float, most: int) -> int:
    row = await (await connection.execute(_SOME, (before, most))).fetchone()
    return int(row[0]) if row else 0
