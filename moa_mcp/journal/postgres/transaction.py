"""Writes jobs in one transaction and one round trip. Each statement writes the same kind of all jobs.

Every statement can be repeated: when a connection breaks during a commit, it is unknown whether it took place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, LiteralString, TypeVar

from moa_mcp.errors import TooManyRuns
from moa_mcp.journal.codec import CODEC
from moa_mcp.journal.damage import checked
from moa_mcp.journal.delivery import Delivery
from moa_mcp.journal.news import News
from moa_mcp.journal.postgres.connections import Connection
from moa_mcp.journal.postgres.jobs import Beginning, Job, Line, Renewal, RunEnding, Spending, TakenOver
from moa_mcp.journal.postgres.news import CHANNEL, written
from moa_mcp.journal.postgres.room import refused
from moa_mcp.journal.postgres.rows import plain
from moa_mcp.journal.spending import Committed

_LOCK = """
SELECT runs.run_id, runs.owner FROM moa.runs JOIN unnest(%b::text[], %b::text[]) AS ours(run_id, owner)
    ON runs.run_id = ours.run_id AND runs.owner = ours.owner
ORDER BY runs.run_id FOR NO KEY UPDATE OF runs
"""
_BEGIN = """
INSERT INTO moa.runs(run_id, pipeline, spec, status, title, caller, batch, created_at, updated_at, begun_by,
    owner, lease_until, delivered)
SELECT run_id, pipeline, spec, CASE WHEN queued THEN 'queued' ELSE status END, title, caller, batch, created_at,
    updated_at, token, CASE WHEN queued THEN NULL ELSE token END, CASE WHEN queued THEN 0 ELSE moa.now() + %s END,
    queued
FROM unnest(%b::text[], %b::text[], %b::bytea[], %b::text[], %b::text[], %b::text[], %b::text[], %b::float8[],
    %b::float8[], %b::text[], %b::bool[])
    AS new(run_id, pipeline, spec, status, title, caller, batch, created_at, updated_at, token, queued)
ORDER BY run_id ON CONFLICT DO NOTHING RETURNING run_id, status = 'queued'
"""
_BEGUN = "SELECT begun_by FROM moa.runs WHERE run_id = ANY(%b::text[]) AND begun_by = ANY(%b::text[])"
_BEGUN_TEXTS = """
INSERT INTO moa.texts(run_id, digest, body)
SELECT new.run_id, digest, body FROM unnest(%b::text[], %b::text[], %b::bytea[], %b::bytea[])
    AS new(run_id, token, digest, body)
JOIN moa.runs ON runs.run_id = new.run_id AND runs.begun_by = new.token ON CONFLICT DO NOTHING
"""
_NOTIFY = "SELECT pg_notify(%s, payload) FROM unnest(%b::text[]) AS payload"
_LINES = """
INSERT INTO moa.events(run_id, n, body, crc)
SELECT new.run_id, n, body, crc FROM unnest(%b::text[], %b::text[], %b::int[], %b::text[], %b::bigint[])
    AS new(run_id, owner, n, body, crc)
JOIN moa.runs ON runs.run_id = new.run_id AND runs.owner = new.owner ON CONFLICT DO NOTHING
"""
_TEXTS = """
INSERT INTO moa.texts(run_id, digest, body)
SELECT new.run_id, digest, body FROM unnest(%b::text[], %b::text[], %b::bytea[], %b::bytea[])
    AS new(run_id, owner, digest, body)
JOIN moa.runs ON runs.run_id = new.run_id AND runs.owner = new.owner ON CONFLICT DO NOTHING
"""
_RENEW = """
UPDATE moa.runs SET lease_until = moa.now() + %s FROM unnest(%b::text[], %b::text[]) AS ours(run_id, owner)
WHERE runs.run_id = ours.run_id AND runs.owner = ours.owner AND status = 'running' RETURNING runs.run_id
"""
_END = """
WITH ended AS (
    UPDATE moa.runs SET owner = NULL, lease_until = 0, delivered = delivered OR requeue,
        status = CASE WHEN requeue THEN 'queued' ELSE coalesce(ours.status, runs.status) END,
        updated_at = CASE WHEN ours.status IS NULL THEN updated_at ELSE moa.now() END
    FROM unnest(%b::text[], %b::text[], %b::text[], %b::bool[], %b::text[])
        AS ours(run_id, owner, status, requeue, payload)
    WHERE runs.run_id = ours.run_id AND runs.owner = ours.owner RETURNING runs.run_id, requeue, payload)
SELECT run_id, requeue, pg_notify(%s, payload)::text FROM ended
"""
_SPEND = (
    "SELECT * FROM moa.commit_spending("
    "%b::text[], %b::text[], %s::text[]::date[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], "
    "%b::bool[])"
)

Row = tuple[Any, ...]
Some = TypeVar("Some")


class JobBatch:
    """Jobs of one transaction."""

    def __init__(self, jobs: Sequence[Job], lease_s: float, known: set[tuple[str, str]], *, texts: bool) -> None:
        """`known` are the texts that are stored, by owner and hash; with `texts`, texts are stored."""
        self._lease_s = lease_s
        self._keeps_texts = texts
        self._beginnings = [each for each in jobs if isinstance(each, Beginning)]
        self._lines = [each for each in jobs if isinstance(each, Line)]
        self._renewals = [each for each in jobs if isinstance(each, Renewal)]
        self._endings = [each for each in jobs if isinstance(each, RunEnding)]
        self._spending = [each for each in jobs if isinstance(each, Spending)]
        self._refused: dict[str, TooManyRuns] = {}
        """Why new runs find no room, by their tokens."""
        self.texts = {
            (line.owner, digest): (line.run_id, text)
            for line in (self._lines if texts else ())
            for digest, text in line.texts.items()
            if (line.owner, digest) not in known
        }

    async def write(self, connection: Connection, delivery: Delivery | None) -> None:
        """Write all jobs, or none; then set their results."""
        async with connection.pipeline():
            async with connection.transaction():
                self._refused = await refused(connection, self._beginnings)
                owned = await self._rows(connection, _LOCK, *_columns(sorted(self._owned()), 2))
                begun = await self._begin(connection, delivery)
                await self._write_lines(connection)
                renewals = {pair for each in self._renewals for pair in each.owners.items()}
                renewed = await self._rows(connection, _RENEW, *_columns(sorted(renewals), 2), before=(self._lease_s,))
                await self._end(connection, delivery)
                spent = await self._rows(connection, _SPEND, *_columns(map(_wanted, self._spending), 8))
            self._settle(
                {(run_id, owner) for run_id, owner in await fetched(owned)},
                {token for (token,) in await fetched(begun)},
                frozenset(run_id for (run_id,) in await fetched(renewed)),
                await fetched(spent),
            )

    def _owned(self) -> set[tuple[str, str]]:
        """Return the runs to lock, with their owners: in the order of their IDs, so that processes do not deadlock."""
        lines = {(job.run_id, job.owner) for job in self._lines}
        endings = {(job.run_id, job.owner) for job in self._endings}
        return lines | endings | {pair for job in self._renewals for pair in job.owners.items()}

    @staticmethod
    async def _rows(
        connection: Connection, sql: LiteralString, *columns: Sequence[Any], before: Row = (), after: Row = ()
    ) -> Any:  # noqa: ANN401
        """Execute a statement with one value for each column, if there are any rows; return its cursor, else None."""
        return await connection.execute(sql, (*before, *columns, *after)) if columns and columns[0] else None

    async def _begin(self, connection: Connection, delivery: Delivery | None) -> Any:  # noqa: ANN401
        beginnings = [each for each in self._beginnings if each.token not in self._refused]
        if not beginnings:
            return None
        rows = [_row(each) for each in sorted(beginnings, key=lambda each: each.record.run_id)]
        new = await self._rows(connection, _BEGIN, *_columns(rows, 11), before=(self._lease_s,))
        texts = sorted(text for each in beginnings for text in _texts(each))
        await self._rows(connection, _BEGUN_TEXTS, *_columns(texts, 4))
        if any(each.queued for each in beginnings):
            queued = [run_id for run_id, is_queued in await new.fetchall() if is_queued]
            await self._put(connection, delivery, queued)
            payloads = [written(News("queued", run_id)) for run_id in queued]
            await self._rows(connection, _NOTIFY, payloads, before=(CHANNEL,))
        tokens = [(each.record.run_id, each.token) for each in beginnings]
        return await self._rows(connection, _BEGUN, *_columns(tokens, 2))

    @staticmethod
    async def _put(connection: Connection, delivery: Delivery | None, run_ids: Sequence[str]) -> None:
        if run_ids and delivery is not None:
            await delivery.put(run_ids, connection)

    async def _write_lines(self, connection: Connection) -> None:
        rows = [(each.run_id, each.owner, each.number, each.body, self._crc(each)) for each in self._lines]
        await self._rows(connection, _LINES, *_columns(rows, 5))
        texts = [
            (run_id, owner, bytes.fromhex(digest), text.encode(*CODEC))
            for (owner, digest), (run_id, text) in sorted(self.texts.items())
        ]
        await self._rows(connection, _TEXTS, *_columns(texts, 4))

    def _crc(self, line: Line) -> int:
        """Return the checksum of an event, which is negative if its texts are not stored."""
        crc = checked(line.body, line.run_id, line.number)
        return crc if self._keeps_texts else -1 - crc

    async def _end(self, connection: Connection, delivery: Delivery | None) -> None:
        rows = [(each.run_id, each.owner, each.status, each.requeue, written(_news(each))) for each in self._endings]
        ended = await self._rows(connection, _END, *_columns(rows, 5), after=(CHANNEL,))
        if any(each.requeue for each in self._endings):
            queued = [run_id for run_id, requeue, _ in await ended.fetchall() if requeue]
            await self._put(connection, delivery, queued)

    def _settle(
        self, owned: set[tuple[str, str]], begun: set[str], renewed: frozenset[str], spent: Sequence[Row]
    ) -> None:
        for beginning in self._beginnings:
            beginning.begun = beginning.token in begun
            beginning.error = self._refused.get(beginning.token)
        for line in self._lines:
            line.error = None if (line.run_id, line.owner) in owned else TakenOver(line.run_id)
        for renewal in self._renewals:
            renewal.renewed = renewed & renewal.owners.keys()
        for spending, (accepted, day, *sums) in zip(self._spending, spent, strict=True):
            spending.committed = Committed(accepted, day.isoformat(), *sums)


def _row(beginning: Beginning) -> Row:
    record = beginning.record
    texts = (plain(record.title), plain(record.caller), plain(record.batch))
    spec = record.spec.encode(*CODEC)
    times = (record.created_at, record.updated_at)
    return record.run_id, plain(record.pipeline), spec, record.status, *texts, *times, beginning.token, beginning.queued


def _texts(beginning: Beginning) -> Iterator[Row]:
    record = beginning.record
    for digest, text in record.texts.items():
        yield record.run_id, beginning.token, bytes.fromhex(digest), text.encode(*CODEC)


def _wanted(job: Spending) -> Row:
    wanted = job.wanted
    caps = wanted.cap, wanted.caller_cap
    return wanted.run_id, job.owner, wanted.day, wanted.nanodollars, *caps, wanted.held, wanted.in_turn


def _news(ending: RunEnding) -> News:
    return News("queued" if ending.requeue else "ended", ending.run_id)


def _columns(rows: Iterable[Sequence[Some]], number: int) -> list[list[Some]]:
    """Return the columns of rows."""
    return [list(each) for each in zip(*rows, strict=True)] or [[]] * number


async def fetched(cursor: Any) -> list[Row]:  # noqa: ANN401  a cursor of any row, or None
    """Return the rows of a statement; none if it was not executed."""
    return [] if cursor is None else await cursor.fetchall()
