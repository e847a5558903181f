"""The journal in one SQLite file, shared by any number of processes of one machine."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import time
import uuid
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from moa_mcp.errors import JournalError, LeaseLost
from moa_mcp.events import Event, TextReceived
from moa_mcp.journal import RunRecord, oldest_day
from moa_mcp.journal.codec import Packed, digests, pack, unpack
from moa_mcp.journal.writer import Refused, Work, Writer
from moa_mcp.values import Status

LEASE_S = 15.0
"""Seconds after which the run of an owner that gives no sign of life is free."""
_BUSY_MS = 10_000
_CODEC = ("utf-8", "surrogatepass")
"""Models, and arguments of commands, may hold half a character."""
_RESUMABLE = frozenset({"running", "failed", "cancelled"})

_MIGRATIONS = (
    """
    CREATE TABLE runs(
        run_id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL, title TEXT NOT NULL,
        owner TEXT, lease_until REAL NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL);
    CREATE INDEX runs_by_time ON runs(created_at);
    CREATE TABLE events(
        seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, body TEXT NOT NULL);
    CREATE INDEX events_by_run ON events(run_id, seq);
    CREATE TABLE texts(digest TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE spending(
        run_id TEXT NOT NULL, day TEXT NOT NULL, nanodollars INTEGER NOT NULL, PRIMARY KEY(day, run_id)) WITHOUT ROWID;
    """,
)
"""Each brings a file from the version that is its position to the next. What was released is never changed."""

Value = TypeVar("Value")


class SQLiteJournal:
    """A journal in a file that only its owner can read."""

    def __init__(
        self,
        path: Path,
        *,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        texts: bool = True,
        lease_s: float = LEASE_S,
        at_once: bool = True,
    ) -> None:
        """Open the file, or make it.

        Args:
            path: Where it is; folders are made.
            synchronous: NORMAL survives the death of the process, FULL also a loss of power.
            texts: Whether questions, prompts and answers are kept, or their hashes only.
            lease_s: How long a run is this process's without a `renew`.
            at_once: Whether to open it now, or when it is needed: a server that is started twice touches nothing.

        Raises:
            JournalError: it can't be used; says why and what can be done.

        """
        self._path = path
        self._texts = texts
        self._lease_s = lease_s
        self._me = f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex}"
        self._synchronous = synchronous
        if at_once:
            self._writer  # noqa: B018  opens it

    @cached_property
    def _writer(self) -> Writer:
        with _explained(self._path):
            return Writer(_opened(self._path, self._synchronous))

    @property
    def _is_empty(self) -> bool:
        """Whether nothing was ever written, so that nothing need be opened to read it."""
        return "_writer" not in self.__dict__ and not self._path.exists()

    async def _do(self, work: Work[Value]) -> Value:
        with _explained(self._path):
            return await self._writer.do(work)

    @property
    def keeps_texts(self) -> bool:
        return self._texts

    async def begin(self, record: RunRecord) -> None:
        def work(db: sqlite3.Connection) -> None:
            until = time.time() + self._lease_s
            db.execute(
                "INSERT INTO runs VALUES(?,?,?,?,?,?,?,?,?)",
                (
                    *(record.run_id, record.pipeline, record.spec, record.status, record.title),
                    *(self._me, until, record.created_at, record.updated_at),
                ),
            )

        await self._do(work)

    async def keep(self, run_id: str, event: Event) -> None:
        await self._do(lambda db: self._insert(db, run_id, pack(event)))

    def append(self, run_id: str, event: Event) -> None:
        if isinstance(event, TextReceived):  # the whole text comes with the end of its call
            return
        self._writer.soon(lambda db: self._insert(db, run_id, pack(event)))

    def _insert(self, db: sqlite3.Connection, run_id: str, packed: Packed) -> None:
        written = db.execute(
            "INSERT INTO events(run_id, body) SELECT run_id, ? FROM runs WHERE run_id = ? AND owner = ?",
            (packed.body, run_id, self._me),
        )
        if not written.rowcount:
            raise _NotOurs(run_id)
        if self._texts:
            for digest, text in packed.texts.items():
                if not db.execute("SELECT 1 FROM texts WHERE digest = ?", (digest,)).fetchone():
                    db.execute("INSERT INTO texts VALUES(?,?)", (digest, zlib.compress(text.encode(*_CODEC), 1)))

    async def finish(self, run_id: str, status: Status) -> None:
        sql = "UPDATE runs SET status = ?, owner = NULL, lease_until = 0, updated_at = ? WHERE run_id = ? AND owner = ?"
        await self._do(lambda db: db.execute(sql, (status, time.time(), run_id, self._me)))

    async def claim(self, run_id: str) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            row = db.execute("SELECT owner, lease_until, status FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            now = time.time()
            if row is None or row[2] not in _RESUMABLE or not (row[1] < now or _dead(row[0])):
                return False
            sql = "UPDATE runs SET owner = ?, lease_until = ?, status = 'running', updated_at = ? WHERE run_id = ?"
            db.execute(sql, (self._me, now + self._lease_s, now, run_id))
            return True

        return await self._do(work)

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
        await self._do(lambda db: db.execute(sql, (run_id, self._me)))

    async def cancel(self, run_id: str) -> bool:
        sql = (
            "UPDATE runs SET status = 'cancelled', owner = NULL, lease_until = 0, updated_at = ? "
            "WHERE run_id = ? AND status = 'running'"
        )
        return await self._do(lambda db: bool(db.execute(sql, (time.time(), run_id)).rowcount))

    async def record(self, run_id: str) -> RunRecord | None:
        if self._is_empty:
            return None
        rows = await self._do(lambda db: db.execute(f"{_SELECT} WHERE run_id = ?", (run_id,)).fetchall())
        return _record(rows[0]) if rows else None

    async def records(self, *, limit: int = 1000) -> tuple[RunRecord, ...]:
        if self._is_empty:
            return ()
        sql = f"{_SELECT} ORDER BY created_at DESC, rowid DESC LIMIT ?"
        return tuple(map(_record, await self._do(lambda db: db.execute(sql, (limit,)).fetchall())))

    async def events(self, run_id: str) -> tuple[Event, ...]:
        def work(db: sqlite3.Connection) -> tuple[list[str], dict[str, str]]:
            sql = "SELECT body FROM events WHERE run_id = ? ORDER BY seq"
            bodies = [body for (body,) in db.execute(sql, (run_id,))]
            wanted = {digest for body in bodies for digest in digests(body)}
            return bodies, {digest: text for digest in wanted if (text := _text(db, digest)) is not None}

        bodies, texts = await self._do(work)
        return tuple(unpack(body, texts) for body in bodies)

    async def commit_spending(self, run_id: str, day: str, nanodollars: int, cap: int | None) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            row = db.execute("SELECT nanodollars FROM spending WHERE day = ? AND run_id = ?", (day, run_id)).fetchone()
            before = row[0] if row else 0
            if cap is not None and nanodollars > before and _spending(db, day) - before + nanodollars > cap:
                return False
            db.execute("INSERT OR REPLACE INTO spending VALUES(?,?,?)", (run_id, day, nanodollars))
            return True

        return await self._do(work)

    async def spending(self, day: str) -> int:
        return 0 if self._is_empty else await self._do(lambda db: _spending(db, day))

    async def forget(
        self, *, older_than: float | None = None, beyond_bytes: int | None = None, dry: bool = False
    ) -> int:
        def work(db: sqlite3.Connection) -> int:
            db.execute("SAVEPOINT forgetting")
            gone = _forget(db, older_than or 0.0, beyond_bytes)
            if dry:
                db.execute("ROLLBACK TO forgetting")
            db.execute("RELEASE forgetting")
            return gone

        return await self._do(work)

    async def close(self) -> None:
        if "_writer" in self.__dict__:
            await self._writer.close()


_SELECT = "SELECT run_id, pipeline, spec, status, title, created_at, updated_at, owner, lease_until FROM runs"


def _forget(db: sqlite3.Connection, older_than: float, beyond_bytes: int | None) -> int:
    now = time.time()
    db.execute("DELETE FROM spending WHERE day < ?", (oldest_day(),))
    gone = db.execute(_FORGET_OLD, (now, older_than)).rowcount
    _sweep(db)
    while beyond_bytes is not None and (size := _size(db)) > beyond_bytes:
        free = db.execute(_COUNT_FREE, (now,)).fetchone()[0]
        if not free:
            break
        share = free * (size - beyond_bytes) // size  # each sweep reads the whole file, so there must be few
        gone += db.execute(_FORGET_OLDEST, (now, max(1, share))).rowcount
        _sweep(db)
    return gone


def _spending(db: sqlite3.Connection, day: str) -> int:
    return int(db.execute("SELECT coalesce(sum(nanodollars), 0) FROM spending WHERE day = ?", (day,)).fetchone()[0])


_FREE = "(status != 'running' OR lease_until < ?)"
_FORGET_OLD = f"DELETE FROM runs WHERE {_FREE} AND updated_at < ?"  # noqa: S608  no value is in it
_FORGET_OLDEST = f"DELETE FROM runs WHERE run_id IN (SELECT run_id FROM runs WHERE {_FREE} ORDER BY updated_at LIMIT ?)"  # noqa: S608
_COUNT_FREE = f"SELECT count(*) FROM runs WHERE {_FREE}"  # noqa: S608


def _record(row: tuple[str, str, str, Status, str, float, float, str | None, float]) -> RunRecord:
    run_id, pipeline, spec, status, title, created_at, updated_at, owner, lease_until = row
    owned = lease_until > time.time() and not _dead(owner)
    return RunRecord(run_id, pipeline, spec, status, title, created_at, updated_at, owned)


def _size(db: sqlite3.Connection) -> int:
    """Return the bytes that are in use; the file itself is not made smaller, but filled again."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _sweep(db: sqlite3.Connection) -> None:
    """Delete the texts that no event refers to any more."""
    used = {digest for (body,) in db.execute("SELECT body FROM events") for digest in digests(body)}
    unused = [(digest,) for (digest,) in db.execute("SELECT digest FROM texts") if digest not in used]
    db.executemany("DELETE FROM texts WHERE digest = ?", unused)


def _dead(owner: str | None) -> bool:
    """Whether an owner is known to be gone: nobody, or a process of this machine that is no more."""
    if owner is None:
        return True
    host, pid, _ = owner.rsplit(":", 2)
    if host != platform.node() or sys.platform == "win32":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _text(db: sqlite3.Connection, digest: str) -> str | None:
    found = db.execute("SELECT body FROM texts WHERE digest = ?", (digest,)).fetchone()
    return None if found is None else zlib.decompress(found[0]).decode(*_CODEC)


class _NotOurs(Refused, LeaseLost):
    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} is driven by another process now, or was cancelled there")


def _opened(path: Path, synchronous: str) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_MS / 1000, check_same_thread=False)
    try:
        _version(db, path)  # a file that is not ours to change stays as it is
        for pragma in (f"busy_timeout = {_BUSY_MS}", "journal_mode = WAL", f"synchronous = {synchronous}"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("PRAGMA foreign_keys = ON")
        _migrate(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    if _version(db, path) == len(_MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")  # another process may be at it; the version is read again inside
    for statements in _MIGRATIONS[_version(db, path) :]:
        for statement in filter(str.strip, statements.split(";")):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
    db.execute("COMMIT")


def _version(db: sqlite3.Connection, path: Path) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(_MIGRATIONS):
        raise JournalError(
            f"{path} was written by a newer moa-mcp (version {version}); update, or name another --journal"
        )
    return version


@contextmanager
def _explained(path: Path) -> Generator[None]:
    """Tell what is wrong with the file in words that help."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        said = str(error)
        remedy = next((words for sign, words in _REMEDIES.items() if sign in said), "name another with --journal PATH")
        raise JournalError(
            f"the journal {path} can't be used: {said}; {remedy}. No model is asked for what could not be recorded; "
            "--journal none does without"
        ) from error


_REMEDIES = {
    "disk is full": "make room on the disk",
    "readonly": "make the file writable",
    "Read-only": "name a writable place with --journal PATH",
    "Permission": "make the folder writable",
    "not a database": "it is damaged or no journal: move it away",
    "malformed": "it is damaged: move it away",
    "locked": "another process holds it for too long: end that one",
}
