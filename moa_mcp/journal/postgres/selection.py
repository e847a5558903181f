"""Selects the records of runs in PostgreSQL by filters, newest first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import LiteralString, NamedTuple

from psycopg import sql

from moa_mcp.errors import RunNotFound
from moa_mcp.journal import RunRecord
from moa_mcp.journal.postgres.connections import Connection
from moa_mcp.journal.postgres.rows import COLUMNS, any_record_of, is_plain, plain
from moa_mcp.values import ACTIVE, Status

_Condition = tuple[LiteralString, Sequence[object]]


class RecordFilter(NamedTuple):
    """Which records to return; None stands for any."""

    statuses: Collection[Status] | None
    caller: str | None
    batch: str | None
    before: str | None
    changed_since: float
    limit: int

    async def read(self, connection: Connection) -> tuple[RunRecord, ...]:
        """Return the records that match. Raises `RunNotFound` if that of `before` is not there."""
        conditions = [*self._conditions()]
        if self.before is not None:
            conditions.append(await _place(connection, self.before))
        where = sql.SQL(" AND ").join(sql.SQL(words) for words, _ in conditions) if conditions else sql.SQL("true")
        query = sql.SQL("SELECT {} FROM moa.runs WHERE {} ORDER BY created_at DESC, seq DESC LIMIT %s")
        values = (*chain.from_iterable(values for _, values in conditions), self.limit)
        rows = await (await connection.execute(query.format(sql.SQL(COLUMNS), where), values)).fetchall()
        return tuple(map(any_record_of, rows))

    def _conditions(self) -> Iterator[_Condition]:
        if self.statuses is not None:
            yield "status = ANY(%s::text[])", ([*self.statuses],)
            if ACTIVE.issuperset(self.statuses):
                yield "status IN ('queued', 'running')", ()  # as in the index of active runs
        if self.caller is not None:
            yield "caller = %s", (plain(self.caller),)
            if self.caller:
                yield "caller <> ''", ()  # as in its index
        if self.batch is not None:
            yield "batch = %s", (plain(self.batch),)
            if self.batch:
                yield "batch <> ''", ()
        if self.changed_since:
            yield "updated_at >= %s", (self.changed_since,)


async def _place(connection: Connection, run_id: str) -> _Condition:
    """Return the condition for what is older than a run."""
    row = None
    if is_plain(run_id):
        found = await connection.execute("SELECT created_at, seq FROM moa.runs WHERE run_id = %s", (run_id,))
        row = await found.fetchone()
    if row is None:
        raise RunNotFound(run_id)
    return "(created_at, seq) < (%s, %s)", row
