"""The journal in PostgreSQL: leases by the clock of the database, news by NOTIFY, texts per run.

All connections belong to an event loop in a thread of its own; the methods can be called in any other event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from typing import Any, Literal, TypeVar

import anyio

from moa_mcp.errors import JournalError, LeaseLost
from moa_mcp.events import PASSING, Event
from moa_mcp.journal import Claim, Page, RunRecord
from moa_mcp.journal.codec import Packer
from moa_mcp.journal.delivery import Delivery
from moa_mcp.journal.news import Listeners, News, NewsKind
from moa_mcp.journal.own_runs import OwnRuns
from moa_mcp.journal.owners import is_dead, me
from moa_mcp.journal.postgres import leases, rates
from moa_mcp.journal.postgres.connections import Connection, Database
from moa_mcp.journal.postgres.jobs import Beginning, Job, Line, Renewal, RunEnding, Spending, TakenOver
from moa_mcp.journal.postgres.listening import NewsConnection
from moa_mcp.journal.postgres.news import CHANNEL, Herald
from moa_mcp.journal.postgres.reading import PageReader, read_record
from moa_mcp.journal.postgres.retention import OldRuns
from moa_mcp.journal.postgres.rows import plain
from moa_mcp.journal.postgres.selection import RecordFilter
from moa_mcp.journal.postgres.thread import LoopThread
from moa_mcp.journal.postgres.writer import GroupWriter, lines
from moa_mcp.journal.rates import Share
from moa_mcp.journal.spending import Commitment, Committed
from moa_mcp.values import Status

LEASE_S = 15.0
"""Seconds without a heartbeat after which a run has no owner."""
_OF_CALLER = "SELECT nanodollars FROM moa.caller_days WHERE day = %s::date AND caller = %s"
_HELD = (
    "SELECT run_id, held, owner, status = 'running', lease_until > moa.now(), delivered "
    "FROM moa.spending JOIN moa.runs USING(run_id) "
    "WHERE day = %s::date AND held > 0 AND status <> 'queued' AND (%s::text IS NULL OR caller = %s)"
)
_PATIENCE_S = 0.004
"""Seconds for which a transaction waits for more events."""

Value = TypeVar("Value")


class _Driven:
    """A run of this process: its owner's name, which is new each time, and the numbers of its events."""

    def __init__(self, run_id: str, owner: str, last: int, *, texts: bool) -> None:
        self.run_id = run_id
        self.owner = owner
        self.packer = Packer(with_answers=texts)
        self._numbers = count(last + 1)

    def line(self, event: Event) -> Line:
        body, texts = self.packer.pack(event)
        return Line(self.run_id, self.owner, next(self._numbers), body.decode(), texts)


class PostgresJournal:
    """A journal in a database."""

    def __init__(
        self,
        address: str,
        *,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        texts: bool = True,
        lease_s: float = LEASE_S,
        delivery: Delivery | None = None,
    ) -> None:
        """Take the address of a database. It is opened on first use.

        Args:
            address: ``postgresql://USER:PASSWORD@HOST/DATABASE``, as libpq takes it.
            synchronous: FULL makes a commit survive a power failure even if the server's default is otherwise.
            texts: Whether to store questions, prompts and answers, or only their hashes.
            lease_s: Seconds that this process owns a run without a `renew`.
            delivery: The queue that queued runs are put into.

        Raises:
            JournalError: the address is not one.

        """
        self._texts = texts
        self._lease_s = lease_s
        self._delivery = delivery
        self._me = me()
        self._tokens = count(1)
        self._driven: OwnRuns[_Driven] = OwnRuns(self._set_patience)
        self._closed = False
        self._thread = LoopThread()
        self._database = Database(address, delivery, power=synchronous == "FULL")
        self._writer = GroupWriter(self._database, lease_s, delivery, self._written, texts=texts)
        self._herald = Herald(self._me, self._send)
        self._reader = PageReader()
        self._corrections = rates.Corrections(self._database)
        self._listeners = Listeners()
        self._listening = NewsConnection(self._database, self._me, self._hear)
        self._loop: asyncio.AbstractEventLoop | None = None
        """The event loop of those who wait for news."""

    @property
    def keeps_texts(self) -> bool:
        return self._texts

    @property
    def unwritten_s(self) -> float:
        return self._writer.unwritten_s

    async def open(self) -> None:
        if self._closed:
            raise JournalError(f"the journal {self._database.shown} is closed")
        if not self._database.was_open:
            await self._thread.run(self._database.open())

    async def _do(self, work: Callable[[Connection], Awaitable[Value]]) -> Value:
        await self.open()
        return await self._thread.run(self._database.do(work))

    async def _write(self, job: Job) -> None:
        """Write a job. When this returns or is cancelled, it is done. Raises what it failed with."""
        await self.open()
        job.done = asyncio.get_running_loop().create_future()
        self._thread.soon(self._writer.put, job)
        try:
            await asyncio.shield(job.done)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await job.done
            if job.error is not None:
                raise job.error from None
            raise
        if job.error is not None:
            raise job.error

    def _written(self, jobs: Sequence[Job]) -> None:
        """Tell the others of what was written and that no transaction has told. In the thread of the connections."""
        begun = (job.record.run_id for job in jobs if isinstance(job, Beginning) and job.begun and not job.queued)
        happened = [News("changed", run_id) for run_id in {*lines(jobs), *begun}]
        if any(isinstance(job, Spending) for job in jobs):
            happened.append(News("spending"))
        for news in happened:
            self._hear(news)
            self._herald.tell(news)

    def _token(self) -> str:
        return f"{self._me}:{next(self._tokens)}"

    def _drive(self, run_id: str, owner: str, last: int) -> None:
        self._driven.add(run_id, _Driven(run_id, owner, last, texts=self._texts))

    def _set_patience(self, waits: bool) -> None:
        self._writer.patience_s = _PATIENCE_S if waits else 0

    async def begin(self, record: RunRecord, *, queued: bool = False, max_runs: int | None = None) -> bool:
        job = Beginning(record, self._token(), queued, max_runs)
        await self._write(job)
        if job.begun and not queued:
            self._drive(record.run_id, job.token, 0)
        return job.begun

    async def keep(self, run_id: str, event: Event) -> None:
        driven = self._driven.get(run_id)
        if driven is None:
            raise TakenOver(run_id)
        try:
            await self._write(driven.line(event))
        except LeaseLost:
            raise
        except JournalError:
            driven.packer.forget()
            raise

    def append(self, run_id: str, event: Event) -> None:
        driven = self._driven.get(run_id)
        if driven is not None and not self._closed and not isinstance(event, PASSING):
            self._thread.soon(self._writer.put, driven.line(event))

    async def finish(self, run_id: str, status: Status) -> None:
        await self._end(run_id, status)

    async def release(self, run_id: str, *, requeue: bool = False) -> None:
        await self._end(run_id, None, requeue=requeue)

    async def _end(self, run_id: str, status: Status | None, *, requeue: bool = False) -> None:
        """Make the last write of a run. If it fails now, it is retried later."""
        driven = self._driven.drop(run_id)
        if driven is None:
            return
        try:
            await self._write(RunEnding(run_id, driven.owner, status, requeue))
        except JournalError:
            self._thread.soon(self._writer.put, RunEnding(run_id, driven.owner, status, requeue))
            raise

    async def claim(self, run_id: str, *, max_runs: int | None = None) -> Claim | None:
        token = self._token()
        work = partial(leases.claim, run_id=run_id, token=token, lease_s=self._lease_s, max_runs=max_runs)
        claimed = await self._do(work)
        if claimed is None:
            return None
        claim, last = claimed
        self._drive(run_id, token, last)
        self.tell(News("changed", run_id))
        return claim

    async def renew(self, run_ids: Sequence[str]) -> frozenset[str]:
        owners = {run_id: self._driven[run_id].owner for run_id in run_ids if run_id in self._driven}
        job = Renewal(owners)
        if owners:
            await self._write(job)
        return job.renewed

    async def redefine(self, run_id: str, spec: str) -> None:
        if driven := self._driven.get(run_id):
            await self._do(partial(leases.redefine, run_id=run_id, owner=driven.owner, spec=spec))

    async def free_dead(self) -> frozenset[str]:
        freed = await self._do(partial(leases.free, lease_s=self._lease_s, delivery=self._delivery))
        return frozenset(freed)

    async def cancel(self, run_id: str) -> bool:
        return await self._do(partial(leases.cancel, run_id=run_id))

    async def record(self, run_id: str) -> RunRecord | None:
        return await self._do(partial(read_record, run_id=run_id))

    async def records(
        self,
        *,
        statuses: Collection[Status] | None = None,
        caller: str | None = None,
        batch: str | None = None,
        before: str | None = None,
        changed_since: float = 0.0,
        limit: int = 1000,
    ) -> tuple[RunRecord, ...]:
        return await self._do(RecordFilter(statuses, caller, batch, before, changed_since, limit).read)

    async def events(self, run_id: str, after: int = 0) -> Page:
        return await self._do(partial(self._reader.page, run_id=run_id, after=after))

    @asynccontextmanager
    async def news(self, *kinds: NewsKind, run_id: str = "") -> AsyncGenerator[AsyncIterator[News]]:
        await self.open()
        self._loop = asyncio.get_running_loop()
        async with self._listeners.listening(kinds, run_id) as listener:
            await self._thread.run(self._listening.start())
            yield listener

    def _hear(self, news: News) -> None:
        """Pass on news to those who wait. In the thread of the connections."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed, so nobody waits
                self._loop.call_soon_threadsafe(self._listeners.tell, news)

    def tell(self, news: News) -> None:
        self._listeners.tell(news)
        if not self._closed:
            self._thread.soon(self._herald.tell, news)

    async def _send(self, payloads: Sequence[str]) -> None:
        async def notify(connection: Connection) -> None:
            await connection.execute("SELECT pg_notify(%s, news) FROM unnest(%s::text[]) news", (CHANNEL, [*payloads]))

        with suppress(JournalError):  # news may be lost
            await self._database.do(notify)

    async def commit_spending(self, wanted: Commitment) -> Committed:
        driven = self._driven.get(wanted.run_id)
        job = Spending(wanted, driven.owner if driven else None)
        await self._write(job)
        if job.committed is None:
            raise JournalError(f"the journal {self._database.shown} returned nothing for what {wanted.run_id} spends")
        return job.committed

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncGenerator[bool]:
        await self.open()
        connection, alone = await self._thread.run(self._database.locked(name))
        try:
            yield alone
        finally:
            with anyio.CancelScope(shield=True):
                await self._thread.run(connection.close())

    async def spending(self, day: str, caller: str | None = None) -> int:
        rows = (
            await self._rows("SELECT nanodollars FROM moa.days WHERE day = %s::date", day)
            if caller is None
            else await self._rows(_OF_CALLER, day, plain(caller))
        )
        return int(rows[0][0]) if rows else 0

    async def held(self, day: str, *, caller: str | None = None, dead: bool = False) -> Mapping[str, int]:
        whose = None if caller is None else plain(caller)
        rows = await self._rows(_HELD, day, whose, whose)
        found: dict[bool, dict[str, int]] = {True: {}, False: {}}
        for run_id, held, owner, running, leased, delivered in rows:
            live = running and leased and not is_dead(owner)
            if live or not (running and delivered):  # a queue offers the others again
                found[live][run_id] = held
        return found[not dead]

    async def _rows(self, sql: Any, *values: object) -> list[tuple[Any, ...]]:  # noqa: ANN401  a literal text
        async def select(connection: Connection) -> list[tuple[Any, ...]]:
            return await (await connection.execute(sql, values)).fetchall()

        return await self._do(select)

    async def book(self, shares: Mapping[str, Share]) -> Mapping[str, Share]:
        """Book shares of the rates of accounts, like `RateStore`."""
        return await self._do(partial(rates.book, shares=shares))

    async def take(self, account: str, cost_s: float, most_s: float) -> float:
        """Book requests, like `RateStore`."""
        return await self._do(partial(rates.take, account=account, cost_s=cost_s, most_s=most_s))

    def correct(self, account: str, share: Share) -> None:
        """Correct what is booked, like `RateStore`."""
        self._thread.soon(self._corrections.add, account, share)

    async def forget(
        self, *, older_than: float | None = None, beyond_bytes: int | None = None, dry: bool = False
    ) -> int:
        what = OldRuns(older_than or 0.0, beyond_bytes)
        if dry:
            return await self._do(what.would)
        gone = 0
        while some := await self._do(what.old):
            gone += some
        left = await self._do(what.excess)
        while left > 0 and (some := await self._do(partial(what.oldest, most=left))):
            gone, left = gone + some, left - some
        return gone

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._thread.is_running:
            with anyio.CancelScope(shield=True):
                await self._thread.run(self._close())
                await self._thread.stop()

    async def _close(self) -> None:
        await self._writer.close()
        await self._herald.close()
        await self._listening.close()
        await self._corrections.close()
        await self._database.close()
