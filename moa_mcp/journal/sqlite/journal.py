"""The journal in one SQLite file, shared by any number of processes on one machine."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Literal

import anyio
from msgspec.structs import replace

from moa_mcp.errors import JournalDamaged, JournalError, RunNotFound
from moa_mcp.events import PASSING, Event
from moa_mcp.journal import Claim, Page, RunRecord
from moa_mcp.journal.codec import Packer
from moa_mcp.journal.damage import damaged_run, readable
from moa_mcp.journal.locks import locked
from moa_mcp.journal.news import Listeners, News, NewsKind
from moa_mcp.journal.own_runs import OwnRuns
from moa_mcp.journal.owners import me
from moa_mcp.journal.spending import Commitment, Committed
from moa_mcp.journal.sqlite import spending
from moa_mcp.journal.sqlite.damage import explained, read_only
from moa_mcp.journal.sqlite.entries import Entries
from moa_mcp.journal.sqlite.file import File
from moa_mcp.journal.sqlite.leases import Lease, claim, free, lease, leases
from moa_mcp.journal.sqlite.reading import RunReader, read_row
from moa_mcp.journal.sqlite.retention import Forgetting
from moa_mcp.journal.sqlite.rows import insert, record_of, redefine
from moa_mcp.journal.sqlite.selection import Selection, require_room_for
from moa_mcp.journal.sqlite.watch import Watch
from moa_mcp.text.surrogates import is_encodable
from moa_mcp.values import Status

LEASE_S = 15.0
"""Seconds without a heartbeat after which a run has no owner."""
_LOOK_S = 0.2
"""Seconds between checks for a heartbeat of an owner."""
_PATIENCE_S = 0.006
"""Seconds for which a transaction waits for more events."""


class SQLiteJournal:
    """A journal in a file that only its user can read."""

    def __init__(
        self,
        path: Path,
        *,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        texts: bool = True,
        lease_s: float = LEASE_S,
        at_once: bool = True,
        to_read: bool = False,
        only_reads: bool = False,
    ) -> None:
        """Open or create the file.

        Args:
            path: Path of the file; folders are created.
            synchronous: NORMAL survives a crash of the process, FULL also a power failure.
            texts: Whether to store questions, prompts and answers, or only their hashes.
            lease_s: Seconds that this process owns a run without a `renew`.
            at_once: Whether to open the file now, or on first use. A server that is started and not used then touches
                no file.
            to_read: Whether a read-only file is accepted.
            only_reads: Whether this process only reads, so that no write of another one waits for it.

        Raises:
            JournalError: the file can't be used; describes why and how to fix it.

        """
        self._texts = texts
        self._lease_s = lease_s
        self._me = me()
        self._driven: OwnRuns[Packer] = OwnRuns(self._set_patience)
        self._entries = Entries(self._me, texts=texts)
        self._file = File(path, synchronous, self._entries, only_reads=only_reads)
        self._reader = RunReader()
        self._listeners = Listeners()
        self._watch = Watch(self._listeners, self._driven)
        if at_once and not (self._file.writes or to_read or only_reads):
            self._file.refuse()
            raise read_only(path)

    @property
    def keeps_texts(self) -> bool:
        return self._texts

    @property
    def unwritten_s(self) -> float:
        return self._file.unwritten_s

    async def open(self) -> None:
        _ = self._file.writer

    async def begin(self, record: RunRecord, *, queued: bool = False, max_runs: int | None = None) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            require_room_for(db, record.run_id, record.caller, max_runs)
            if queued:
                begun = insert(db, replace(record, status="queued"), None, 0.0)
            else:
                begun = insert(db, record, self._me, time.time() + self._lease_s)
            if begun:
                self._entries.begins(db, record.run_id, record.texts)
            return begun

        begun = await self._file.do(work)
        if begun and not queued:
            self._drive(record.run_id)
        if begun:
            self.tell(News("queued" if queued else "changed", record.run_id))
        return begun

    async def keep(self, run_id: str, event: Event) -> None:
        self._file.require_writes()
        packer = self._driven[run_id] if run_id in self._driven else Packer(with_answers=self._texts)
        writer = self._file.writer
        try:
            job, done = writer.write(run_id, packer.pack(event))
            try:
                await done
            except anyio.get_cancelled_exc_class():
                await writer.settle(job)
                raise
            if job.error is not None:
                raise job.error
        except (sqlite3.Error, OSError) as error:
            packer.forget()
            raise explained(self._file.path, error) from error
        if self._listeners.await_changes:
            self._listeners.changed(run_id)

    def append(self, run_id: str, event: Event) -> None:
        if self._file.writes and type(event) not in PASSING:
            packer = self._driven[run_id] if run_id in self._driven else Packer(with_answers=self._texts)
            self._file.writer.write_soon(run_id, packer.pack(event))
            if self._listeners.await_changes:
                self._listeners.changed(run_id)

    def _drive(self, run_id: str) -> None:
        self._driven.add(run_id, Packer(with_answers=self._texts))

    def _set_patience(self, waits: bool) -> None:
        self._file.writer.patience_s = _PATIENCE_S if waits else 0

    async def finish(self, run_id: str, status: Status) -> None:
        sql = (
            "UPDATE runs SET status = ?, owner = NULL, lease_until = 0, updated_at = ?, "
            "parts = (SELECT count(*) FROM events WHERE events.run_id = runs.run_id) WHERE run_id = ? AND owner = ?"
        )
        await self._last(News("ended", run_id), sql, (status, time.time(), run_id, self._me))

    async def _last(self, news: News, sql: str, values: tuple[object, ...]) -> None:
        """Make the last write of a run and tell it. If it fails now, it is retried later."""
        self._driven.drop(news.run_id)
        try:
            if await self._file.do(lambda db: db.execute(sql, values).rowcount):
                self.tell(news)
        except JournalError:
            if self._file.writes:
                self._file.writer.soon(lambda db: db.execute(sql, values))
            raise

    async def claim(self, run_id: str, *, max_runs: int | None = None) -> Claim | None:
        held = await self._file.read(lambda db: lease(db, run_id))
        if held.until >= time.time() or held.owner == self._me:  # this process renews the leases of all its runs
            dead = held.is_over or held.until < time.time()
        else:
            dead = await self._is_dead(held)
        if not dead:
            return None
        claimed: Claim | None = None
        with anyio.CancelScope(shield=True):  # whoever claims a run must learn of it
            claimed = await self._file.do(lambda db: claim(db, run_id, self._me, self._lease_s, max_runs))
        if claimed is not None:
            self._drive(run_id)
            self.tell(News("changed", run_id))
        return claimed

    async def _is_dead(self, held: Lease) -> bool:
        """Whether the owner of an expired lease is dead, or sends no heartbeat for longer than one takes."""
        with anyio.move_on_after(self._lease_s / 2):
            now = held
            while not now.is_over and now == held:
                await anyio.sleep(_LOOK_S)  # the death of a process is no news, and its heartbeat is none either
                now = await self._file.read(lambda db: lease(db, held.run_id))
            return now.is_over
        return True

    async def renew(self, run_ids: Sequence[str]) -> frozenset[str]:
        if not run_ids:
            return frozenset()

        def work(db: sqlite3.Connection) -> frozenset[str]:
            until = time.time() + self._lease_s
            sql = "UPDATE runs SET lease_until = ? WHERE run_id = ? AND owner = ? AND status = 'running'"
            return frozenset(each for each in run_ids if db.execute(sql, (until, each, self._me)).rowcount)

        return await self._file.do(work)

    async def release(self, run_id: str, *, requeue: bool = False) -> None:
        queued = "status = 'queued', delivered = 1, " if requeue else ""
        sql = f"UPDATE runs SET {queued}owner = NULL, lease_until = 0 WHERE run_id = ? AND owner = ?"  # noqa: S608
        await self._last(News("queued" if requeue else "ended", run_id), sql, (run_id, self._me))

    async def redefine(self, run_id: str, spec: str) -> None:
        await self._file.do(lambda db: redefine(db, run_id, self._me, spec))

    async def free_dead(self) -> frozenset[str]:
        now = time.time()
        held = [each for each in await self._file.read(leases) if each.owner != self._me]
        dead = [each for each in held if each.is_over]
        expired = [each for each in held if each not in dead and each.until < now]
        dead += [each for each, over in zip(expired, await anyio.amap(self._is_dead, expired), strict=True) if over]
        freed = await self._file.do(lambda db: free(db, dead)) if dead else {}
        for run_id, queued in freed.items():
            self.tell(News("queued" if queued else "ended", run_id))
        return frozenset(freed)

    async def cancel(self, run_id: str) -> bool:
        sql = (
            "UPDATE runs SET status = 'cancelled', owner = NULL, lease_until = 0, updated_at = ?, "
            "parts = (SELECT count(*) FROM events WHERE events.run_id = runs.run_id) "
            "WHERE run_id = ? AND status IN ('queued', 'running')"
        )
        cancelled = await self._file.do(lambda db: bool(db.execute(sql, (time.time(), run_id)).rowcount))
        if cancelled:
            self.tell(News("cancelled", run_id))
        return cancelled

    async def record(self, run_id: str) -> RunRecord | None:
        if self._file.is_empty or not is_encodable(run_id):
            return None
        with readable(run_id):
            found = await self._file.read(lambda db: read_row(db, run_id))
        return replace(record_of(found[0]), texts=found[1]) if found else None

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
        if self._file.is_empty and before is None:
            return ()
        selection = Selection(statuses, caller, batch, before, changed_since, limit)
        return await self._file.read(selection.read)

    async def events(self, run_id: str, after: int = 0) -> Page:
        if self._file.is_empty or not is_encodable(run_id):
            raise RunNotFound(run_id)
        with readable(run_id):
            try:
                part = await self._file.writer.do(lambda db: self._reader.read(db, run_id, after), reads=True)
            except sqlite3.Error as error:
                explanation = explained(self._file.path, error)
                raise damaged_run(run_id) if isinstance(explanation, JournalDamaged) else explanation from error
            return self._reader.page(part)

    @asynccontextmanager
    async def news(self, *kinds: NewsKind, run_id: str = "") -> AsyncGenerator[AsyncIterator[News]]:
        async with self._listeners.listening(kinds, run_id) as listener:
            await self._file.read(partial(self._watch.start, self._file.writer, asyncio.get_running_loop()))
            yield listener

    def tell(self, news: News) -> None:
        self._listeners.tell(news)

    async def commit_spending(self, wanted: Commitment) -> Committed:
        committed = await self._file.do(lambda db: spending.commit(db, wanted, self._me))
        if committed.accepted:
            self.tell(News("spending", wanted.run_id))
        return committed

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncGenerator[bool]:
        path = self._file.path.with_name(f"{self._file.path.name}-{name}.lock")
        with ExitStack() as stack:
            try:
                file = stack.enter_context(locked(path))
            except OSError as error:
                raise explained(path, error) from error
            yield file is not None
            if file is not None:
                with suppress(OSError):  # Windows deletes no open file
                    path.unlink()

    async def spending(self, day: str, caller: str | None = None) -> int:
        return 0 if self._file.is_empty else await self._file.read(lambda db: spending.total(db, day, caller))

    async def held(self, day: str, *, caller: str | None = None, dead: bool = False) -> Mapping[str, int]:
        return await self._file.read(lambda db: spending.held(db, day, caller, dead=dead))

    async def forget(
        self, *, older_than: float | None = None, beyond_bytes: int | None = None, dry: bool = False
    ) -> int:
        if self._file.is_empty:
            return 0
        what = Forgetting(older_than or 0.0, beyond_bytes)
        if dry:
            return await self._file.apart(what.would)
        gone, more = 0, True
        while more:
            began = time.monotonic()
            forgotten, more = await self._file.do(what.some)
            gone += forgotten
            await anyio.sleep(time.monotonic() - began)  # let other writers in, also those of other processes
        return gone

    async def close(self) -> None:
        await self._file.close()
