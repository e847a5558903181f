"""Who owns a run in PostgreSQL. Leases are by the clock of the database.

A process that could not renew a lease because the database was away is not dead: leases also last from the last start
of the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from moa_mcp.journal import Claim
from moa_mcp.journal.codec import CODEC
from moa_mcp.journal.delivery import Delivery
from moa_mcp.journal.news import News
from moa_mcp.journal.owners import is_dead
from moa_mcp.journal.postgres import room
from moa_mcp.journal.postgres.connections import Connection
from moa_mcp.journal.postgres.news import CHANNEL, written
from moa_mcp.journal.postgres.rows import COLUMNS, is_plain, record_of

_EXPIRED: Final = (
    "(lease_until < moa.now() AND extract(epoch FROM pg_postmaster_start_time())::float8 + %(lease_s)s < moa.now())"
)
_CLAIM: Final = f"""
UPDATE moa.runs SET owner = %(token)s, lease_until = moa.now() + %(lease_s)s, status = 'running', updated_at = moa.now()
FROM (SELECT run_id AS id, status AS before FROM moa.runs WHERE run_id = %(run_id)s FOR UPDATE) AS was
WHERE run_id = id AND status NOT IN ('complete', 'degraded') AND (owner IS NULL OR owner = %(dead)s OR {_EXPIRED})
RETURNING before, (SELECT coalesce(max(n), 0) FROM moa.events WHERE run_id = %(run_id)s), {COLUMNS}
"""  # noqa: S608  no value is in it
_OWNED: Final = "SELECT count(*), max(owner) FROM moa.runs WHERE run_id = %s AND owner IS NOT NULL"
_OWNERS: Final = "SELECT DISTINCT owner FROM moa.runs WHERE status IN ('queued', 'running') AND owner IS NOT NULL"
_FREE: Final = f"""
UPDATE moa.runs SET owner = NULL, lease_until = 0, status = CASE WHEN delivered THEN 'queued' ELSE status END
WHERE run_id IN (
    SELECT run_id FROM moa.runs WHERE status IN ('queued', 'running') AND owner IS NOT NULL
        AND (owner = ANY(%(dead)s::text[]) OR {_EXPIRED})
    ORDER BY run_id LIMIT 1000 FOR UPDATE SKIP LOCKED)
RETURNING run_id, status
"""  # noqa: S608
_NOTIFY: Final = "SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload"


async def claim(
    connection: Connection, run_id: str, token: str, lease_s: float, max_runs: int | None = None
) -> tuple[Claim, int] | None:
    """Make a token the owner of a run without a live one; return its record and the number of its last event.

    Raises:
        TooManyRuns: the caller of the run has `max_runs` other active ones.

    """
    if not is_plain(run_id):
        return None
    if max_runs is None:
        return await _claim(connection, run_id, token, lease_s)
    async with connection.transaction():
        await room.require(connection, run_id, max_runs)
        return await _claim(connection, run_id, token, lease_s)


async def _claim(connection: Connection, run_id: str, token: str, lease_s: float) -> tuple[Claim, int] | None:
    found = await (await connection.execute(_OWNED, (run_id,))).fetchone()
    owner = found[1] if found else None
    dead = owner if owner is not None and (owner == token or is_dead(owner)) else None
    values = {"run_id": run_id, "token": token, "lease_s": lease_s, "dead": dead}
    row = await (await connection.execute(_CLAIM, values)).fetchone()
    if row is None:
        return None
    before, last, *columns = row
    return Claim(record_of(tuple(columns)), before != "queued" or last > 0, before), last


async def free(connection: Connection, lease_s: float, delivery: Delivery | None) -> dict[str, bool]:
    """Release runs of dead owners, and put those that a queue delivered back into it; return which are, by run."""
    owners = [owner for (owner,) in await (await connection.execute(_OWNERS)).fetchall()]
    dead = [owner for owner in owners if is_dead(owner)]
    async with connection.transaction():
        rows = await (await connection.execute(_FREE, {"dead": dead, "lease_s": lease_s})).fetchall()
        freed = {run_id: status == "queued" for run_id, status in rows}
        queued = [run_id for run_id, again in freed.items() if again]
        if queued and delivery is not None:
            await delivery.put(queued, connection)
        await _notify(connection, [News("queued" if again else "ended", run_id) for run_id, again in freed.items()])
    return freed


async def redefine(connection: Connection, run_id: str, owner: str, spec: str) -> None:
    """Replace the definition of a run that has this owner."""
    sql = "UPDATE moa.runs SET spec = %b WHERE run_id = %s AND owner = %s"
    await connection.execute(sql, (spec.encode(*CODEC), run_id, owner))


async def cancel(connection: Connection, run_id: str) -> bool:
    """Mark a run that has not ended as cancelled, and tell its owner."""
    if not is_plain(run_id):
        return False
    sql = (
        "WITH gone AS (UPDATE moa.runs SET status = 'cancelled', owner = NULL, lease_until = 0, updated_at = moa.now() "
        "WHERE run_id = %s AND status IN ('queued', 'running') RETURNING run_id) "
        "SELECT pg_notify(%s, %s)::text FROM gone"
    )
    found = await connection.execute(sql, (run_id, CHANNEL, written(News("cancelled", run_id))))
    return await found.fetchone() is not None


async def _notify(connection: Connection, news: Sequence[News]) -> None:
    await connection.execute(_NOTIFY, (CHANNEL, [written(each) for each in news]))
