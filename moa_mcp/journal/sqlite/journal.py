"""The journal in one SQLite file, shared by any number of processes on one machine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import anyio
import anyio.to_thread

from moa_mcp.errors import JournalDamaged, JournalError
from moa_mcp.events import PASSING, Event
from moa_mcp.journal import CallerSpending, Committed, Follow, RunRecord
from moa_mcp.journal.codec import Packed, Packer
from moa_mcp.journal.damage import damaged_run, readable
from moa_mcp.journal.sqlite import spending
from moa_mcp.journal.sqlite.damage import damaged_file, explained, explaining, read_only
from moa_mcp.journal.sqlite.entries import Entries
from moa_mcp.journal.sqlite.opening import Opened, opened_at_best
from moa_mcp.journal.sqlite.owners import is_dead, me
from moa_mcp.journal.sqlite.reading import Reading
from moa_mcp.journal.sqlite.retention import Forgetting
from moa_mcp.journal.sqlite.rows import SELECT, any_record_of, insert, record_of
from moa_mcp.journal.sqlite.schema import connected
from moa_mcp.journal.sqlite.surviving import holds_a_run
from moa_mcp.journal.sqlite.writer import Work, Writer
from moa_mcp.text.surrogates import is_encodable
from moa_mcp.values import Status

LEASE_S = 15.0
"""Seconds without a heartbeat after which a run has no owner."""
_LOOK_S = 0.2
"""Seconds between checks for a heartbeat of an owner."""
_MANY = 8
"""Number of active runs from which a transaction waits for more events, because a transaction for each answer costs
more CPU time than its content."""
_PATIENCE_S = 0.006
_RESUMABLE = frozenset({"running", "failed", "cancelled"})

Value = TypeVar("Value")


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
        self._path = path
        self._texts = texts
        self._lease_s = lease_s
        self._me = me()
        self._driven: dict[str, Packer] = {}
        self._synchronous = synchronous
        self._only_reads = only_reads
        if at_once and not (self._opened.writes or to_read or only_reads):
            self._opened.db.close()
            self._opened.discard()
            raise read_only(path)

    @cached_property
    def _opened(self) -> Opened:
        with explaining(self._path):
            opened = opened_at_best(self._path, self._synchronous)
        return opened._replace(writes=opened.writes and not self._only_reads)

    @cached_property
    def _writer(self) -> Writer[Packed]:
        return Writer(self._opened.db, Entries(self._me, texts=self._texts), writes=self._opened.writes)

    @property
    def _is_empty(self) -> bool:
        """Whether nothing was ever written, so that reading needs no file."""
        return "_opened" not in self.__dict__ and not self._path.exists()

    async def _do(self, work: Work[Value]) -> Value:
        if not self._opened.writes:
            raise read_only(self._path)
        return await self._done(work, reads=False)

    async def _read(self, work: Work[Value]) -> Value:
        return await self._done(work, reads=True)

    async def _done(self, work: Work[Value], *, reads: bool) -> Value:
        writer = self._writer  # of a file that can't be opened, no run is left
        try:
            with explaining(self._path):
                return await writer.do(work, reads=reads)
        except JournalDamaged as error:
            some_left = False
            with suppress(sqlite3.Error):
                some_left = await writer.do(holds_a_run, reads=True)
            raise damaged_file(self._path, some_left=some_left) from error

    @property
    def keeps_texts(self) -> bool:
        return self._texts

    @property
    def unwritten_s(self) -> float:
        return self._writer.unwritten_s if "_writer" in self.__dict__ else 0.0

    async def begin(self, record: RunRecord) -> None:
        await self._do(lambda db: insert(db, record, self._me, time.time() + self._lease_s))
        self._drives(record.run_id)

    async def keep(self, run_id: str, event: Event) -> None:
        if not self._opened.writes:
            raise read_only(self._path)
        packer = self._packer(run_id)
        try:
            await self._writer.write(run_id, packer.pack(event))
        except (sqlite3.Error, OSError) as error:
            packer.forget()
            raise explained(self._path, error) from error

    def append(self, run_id: str, event: Event) -> None:
        if self._opened.writes and not isinstance(event, PASSING):
            self._writer.write_soon(run_id, self._packer(run_id).pack(event))

    def _packer(self, run_id: str) -> Packer:
        return self._driven.get(run_id) or Packer(tells=self._texts)

    def _drives(self, run_id: str, *, still: bool = True) -> None:
        if still:
            self._driven[run_id] = Packer(tells=self._texts)
        else:
            self._driven.pop(run_id, None)
        self._writer.patience_s = _PATIENCE_S if len(self._driven) >= _MANY else 0

    async def finish(self, run_id: str, status: Status) -> None:
        sql = (
            "UPDATE runs SET status = ?, owner = NULL, lease_until = 0, updated_at = ?, "
            "parts = (SELECT count(*) FROM events WHERE events.run_id = runs.run_id) WHERE run_id = ? AND owner = ?"
        )
        await self._last(run_id, lambda db: db.execute(sql, (status, time.time(), run_id, self._me)))

    async def _last(self, run_id: str, work: Work[object]) -> None:
        """Make the last write of a run. If it fails now, it is retried later."""
        self._drives(run_id, still=False)
        try:
            await self._do(work)
        except JournalError:
            if self._opened.writes:
                self._writer.soon(work)
            raise

    async def is_free(self, run_id: str) -> bool:
        owner, until = lease = await self._lease(run_id)
        if is_dead(owner):
            return True
        if until >= time.time() or owner == self._me:  # this process renews the leases of all its runs
            return until < time.time()
        with anyio.move_on_after(self._lease_s / 2):  # longer than the interval of renewals
            while not is_dead(owner) and await self._lease(run_id) == lease:  # noqa: ASYNC110  a file tells no process
                await anyio.sleep(_LOOK_S)
            return is_dead((await self._lease(run_id))[0])
        return True

    async def _lease(self, run_id: str) -> tuple[str | None, float]:
        sql = "SELECT owner, lease_until FROM runs WHERE run_id = ?"
        row: tuple[str | None, float] | None = await self._read(lambda db: db.execute(sql, (run_id,)).fetchone())
        if row is not None and not isinstance(row[1], float):  # pyright: ignore[reportUnnecessaryIsInstance]  a file may hold anything
            raise damaged_run(run_id)
        return row or (None, 0.0)

    async def claim(self, run_id: str) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            row = db.execute("SELECT owner, lease_until, status FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            now = time.time()
            if row is None or row[2] not in _RESUMABLE or not (row[1] < now or is_dead(row[0])):
                return False
            sql = (
                "UPDATE runs SET owner = ?, lease_until = ?, status = 'running', updated_at = ?, parts = NULL "
                "WHERE run_id = ?"
            )
            db.execute(sql, (self._me, now + self._lease_s, now, run_id))
            return True

        claimed = await self._do(work)
        if claimed:
            self._drives(run_id)
        return claimed

    async def renew(self, run_ids: Sequence[str]) -> frozenset[str]:
        if not run_ids:
            return frozenset()

        def work(db: sqlite3.Connection) -> frozenset[str]:
            until = time.time() + self._lease_s
            sql = "UPDATE runs SET lease_until = ? WHERE run_id = ? AND owner = ? AND status = 'running'"
            return frozenset(each for each in run_ids if db.execute(sql, (until, each, self._me)).rowcount)

        return await self._do(work)

    async def release(self, run_id: str) -> None:
        sql = "UPDATE runs SET owner = NULL, lease_until = 0 WHERE run_id = ? AND owner = ?"
        await self._last(run_id, lambda db: db.execute(sql, (run_id, self._me)))

    async def cancel(self, run_id: str) -> bool:
        sql = (
            "UPDATE runs SET status = 'cancelled', owner = NULL, lease_until = 0, updated_at = ?, "
            "parts = (SELECT count(*) FROM events WHERE events.run_id = runs.run_id) "
            "WHERE run_id = ? AND status = 'running'"
        )
        return await self._do(lambda db: bool(db.execute(sql, (time.time(), run_id)).rowcount))

    async def record(self, run_id: str) -> RunRecord | None:
        if self._is_empty or not is_encodable(run_id):
            return None
        rows = await self._read(lambda db: db.execute(f"{SELECT} WHERE run_id = ?", (run_id,)).fetchall())
        return record_of(rows[0]) if rows else None

    async def records(self, *, limit: int = 1000, changed_since: float = 0.0) -> tuple[RunRecord, ...]:
        if self._is_empty:
            return ()
        changed = f"WHERE updated_at >= {changed_since!r} " if changed_since else ""  # a corrupt time is listed too
        sql = f"{SELECT} {changed}ORDER BY created_at DESC, rowid DESC LIMIT ?"
        return tuple(map(any_record_of, await self._read(lambda db: db.execute(sql, (limit,)).fetchall())))

    async def events(self, run_id: str) -> tuple[Event, ...]:
        return await self.follow(run_id)()

    def follow(self, run_id: str) -> Follow:
        reading = Reading(run_id)

        async def more() -> tuple[Event, ...]:
            with readable(run_id):
                try:
                    return tuple(await self._writer.do(reading.more, reads=True))
                except sqlite3.Error as error:
                    told = explained(self._path, error)
                    raise damaged_run(run_id) if isinstance(told, JournalDamaged) else told from error

        return more

    async def commit_spending(
        self,
        run_id: str,
        nanodollars: int,
        cap: int | None,
        held: int = 0,
        day: str | None = None,
        *,
        in_turn: bool = False,
    ) -> Committed:
        wanted = spending.Commitment(run_id, nanodollars, cap, held, day, in_turn)
        return await self._do(lambda db: spending.commit(db, wanted, self._me))

    async def spending(self, day: str) -> int:
        return 0 if self._is_empty else await self._read(lambda db: spending.total(db, day))

    async def spending_of(self, caller: str, day: str) -> CallerSpending:
        return await self._read(lambda db: spending.of_caller(db, caller, day))

    async def held(self, day: str, *, dead: bool = False) -> Mapping[str, int]:
        return await self._read(lambda db: spending.held(db, day, dead=dead))

    async def forget(
        self, *, older_than: float | None = None, beyond_bytes: int | None = None, dry: bool = False
    ) -> int:
        if self._is_empty:
            return 0
        what = Forgetting(older_than or 0.0, beyond_bytes)
        if dry:
            if not self._opened.writes:
                return await self._read(what.would)
            with explaining(self._path):
                return await anyio.to_thread.run_sync(self._apart, what.would)
        gone, more = 0, True
        while more:
            began = time.monotonic()
            forgotten, more = await self._do(what.some)
            gone += forgotten
            await anyio.sleep(time.monotonic() - began)  # let other writers in, also those of other processes
        return gone

    def _apart(self, work: Work[Value]) -> Value:
        """Do long work on a separate connection, without blocking writes."""
        with closing(connected(str(self._path))) as db:
            return work(db)

    async def close(self) -> None:
        if "_opened" in self.__dict__:
            await self._writer.close()
            self._opened.discard()
