"""One thread that writes to a SQLite file for the whole process, and groups pending writes into transactions.

It knows SQLite and threads, and nothing about the data. Callers wait on asyncio alone: each model call waits twice, and
an anyio event takes seven times the CPU time of a future.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar, cast

import anyio
import anyio.to_thread
from msgspec import Struct

_log = logging.getLogger(__name__)
_BATCH = 512
_PAGES = 240
_CLOSED = "it is closed"
_RETRY_S = 1.0
"""Seconds until failed writes are retried if there is no other write."""
LOOK_S = 0.05
"""Seconds between looks at what other processes write, while there are listeners for that."""

Value = TypeVar("Value")
Line_contra = TypeVar("Line_contra", contravariant=True)
Work = Callable[[sqlite3.Connection], Value]


class WriteRefused(Exception):
    """Raised by work that wrote nothing. The other work in its transaction is not affected."""


class Book(Protocol[Line_contra]):
    """Writes single lines that are cheaper to write together."""

    def write(self, connection: sqlite3.Connection, pages: Mapping[str, Sequence[Line_contra]], /) -> None:
        """Write the lines of up to 240 pages, in order.

        Raises `WriteRefused` and writes nothing if the lines of one page are not allowed.
        """
        ...

    def undone(self) -> None:
        """Handle a rollback of all writes since the last commit."""
        ...


class Job(Struct, Generic[Value], eq=False):
    """Work, or a line, and its result."""

    work: Work[Value] | None = None
    reads: bool = False
    """Whether it only reads, so that its errors do not affect other work."""
    page: str = ""
    """The page of its line; empty for work."""
    line: Any = None
    done: asyncio.Future[None] | None = None
    """Set when it is done; None if no caller waits."""
    value: Value | None = None
    error: Exception | None = None


class Writer(Generic[Line_contra]):
    """Does work on a connection and writes lines, in order, grouped into transactions."""

    def __init__(self, connection: sqlite3.Connection, book: Book[Line_contra], *, writes: bool = True) -> None:
        """Start the thread; `writes` is whether the connection can write."""
        self._connection = connection
        self._book = book
        self._jobs: queue.SimpleQueue[list[Job[Any]] | None] = queue.SimpleQueue()
        self._handed: list[Job[Any]] = []
        """Jobs of the current turn of the event loop. The thread gets them together, because each wake-up of it takes
        the interpreter lock from the loop."""
        self._hands: asyncio.AbstractEventLoop | None = None
        """The event loop that will hand them over; None if there are none."""
        self._writes = writes
        self._begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        self._left: list[Job[Any]] = []
        """Failed writes that no caller waits for. They are retried first."""
        self._fails_since: float | None = None
        """Since when writes fail, on the monotonic clock; None if the last one succeeded."""
        self.patience_s = 0.0
        """Seconds to wait for more work before a transaction, so that there are fewer of them."""
        self._closed = False
        self._look: Callable[[sqlite3.Connection], bool] | None = None
        self._looked = self._retried = 0.0
        """When it last looked, and last tried what had failed, by the monotonic clock."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """The event loop of the last work. Lines use the same one, because a lookup for each call would be expensive.
        """
        self._thread = threading.Thread(target=self._write_all, name="moa-journal", daemon=True)
        self._thread.start()

    async def do(self, work: Work[Value], *, reads: bool = False) -> Value:
        """Do work, which may only read (`reads`); return its value after the commit.

        Raises:
            WriteRefused: the work was rejected.
            sqlite3.Error: the transaction failed and was rolled back.

        """
        if self._closed:
            raise sqlite3.ProgrammingError(_CLOSED)
        self._loop = loop = asyncio.get_running_loop()
        done = loop.create_future()
        job = Job(work, reads, done=done)
        self._handed.append(job)
        self._hand_over_soon(loop)
        await done
        if job.error is not None:
            raise job.error
        return cast("Value", job.value)

    def write(self, page: str, line: Line_contra) -> tuple[Job[None], asyncio.Future[None]]:
        """Queue a line; return its job, and what is set when it is committed, or the job has an error, as of `do`.

        An event loop must call `do` before it writes lines. A caller that is cancelled while it waits calls `settle`.
        """
        if self._closed:
            raise sqlite3.ProgrammingError(_CLOSED)
        done = (self._loop or asyncio.get_running_loop()).create_future()
        return self.write_soon(page, line, done), done

    async def settle(self, job: Job[None]) -> None:
        """Wait until a line is committed whose caller was cancelled. Raises the same as `do`."""
        with anyio.CancelScope(shield=True):
            await self.do(_nothing)  # work is done in order, so the line is written by now
        if job.error is not None:
            raise job.error from None

    @property
    def unwritten_s(self) -> float:
        """Seconds since the first of the writes failed that are retried; 0 if there are none."""
        since = self._fails_since
        return 0.0 if since is None else time.monotonic() - since

    def soon(self, work: Work[object]) -> None:
        """Queue work without waiting for it."""
        self._handed.append(Job(work))
        self._hand_over_soon(asyncio.get_running_loop())

    def write_soon(self, page: str, line: Line_contra, done: asyncio.Future[None] | None = None) -> Job[None]:
        """Queue a line without waiting for it; `done` is set when it is written. The same holds as for `write`."""
        job: Job[None] = Job(page=page, line=line, done=done)
        loop = self._loop or asyncio.get_running_loop()
        self._handed.append(job)
        if self._hands is not loop:  # most lines are not the first of a turn
            self._hand_over_soon(loop)
        return job

    def _hand_over_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand over the jobs at the end of this turn of the event loop."""
        if self._hands is not loop:
            self._hands = loop
            loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        handed, self._handed, self._hands = self._handed, [], None
        if handed:
            self._jobs.put(handed)

    @property
    def is_looking(self) -> bool:
        """Whether a function is called regularly."""
        return self._look is not None

    def look(self, look: Callable[[sqlite3.Connection], bool]) -> None:
        """Call a function about every 50 ms, outside transactions, until it returns False.

        It may be called from work, and belongs to its thread. An error of SQLite is left to those who read.
        """
        self._look = look

    async def close(self) -> None:
        """Finish all pending work and close the connection."""
        self._closed = True
        self._hand_over()
        self._jobs.put(None)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._thread.join)

    def _write_all(self) -> None:
        jobs: list[Job[Any]] | None = []
        while jobs is not None:
            jobs, last = self._next()
            if jobs or last or time.monotonic() - self._retried >= _RETRY_S:
                self._retried = time.monotonic()
                self._commit(jobs)
            self._look_if_due()
            if last:
                jobs = None
        if lost := sum(job.work is not _touch for job in self._left):
            _log.warning("%d events could not be recorded", lost)
        self._connection.close()

    def _next(self) -> tuple[list[Job[Any]], bool]:
        """Return pending work and whether the writer is closed. Without work, this is a retry or the end."""
        jobs: list[Job[Any]] = []
        try:
            handed = self._jobs.get(timeout=LOOK_S if self._look else _RETRY_S if self._left else None)
            time.sleep(self.patience_s if handed is not None else 0)
            while handed is not None:
                jobs += handed
                if len(jobs) >= _BATCH:
                    return jobs, False
                handed = self._jobs.get_nowait()
        except queue.Empty:
            return jobs, False
        return jobs, True

    def _look_if_due(self) -> None:
        if self._look is None or time.monotonic() - self._looked < LOOK_S:
            return
        with suppress(sqlite3.Error):
            if not self._look(self._connection):
                self._look = None
        self._looked = time.monotonic()

    def _commit(self, jobs: list[Job[Any]]) -> None:
        if self._left and jobs and all(job.reads for job in jobs):  # reads do not fail with the writes that are retried
            left, since, self._left = self._left, self._fails_since, []
            self._commit(jobs)
            jobs, self._left, self._fails_since = [], left, since
        due, self._left = [*self._left, *jobs], []
        if not due:
            return
        try:
            with _transaction(self._connection, self._begin):
                self._do_all(due)
        except sqlite3.Error as error:
            self._book.undone()
            if len(due) > 1 and not isinstance(
                error, sqlite3.OperationalError
            ):  # a damaged page affects only some jobs
                for job in due:
                    self._commit([job])
                return
            for job in jobs:
                job.error = error
            if isinstance(error, sqlite3.OperationalError):  # a full disk or a lock may be temporary
                self._left = [job for job in due if job.done is None]
                if not self._left and self._writes and any(not job.reads for job in jobs):
                    self._left = [Job(_touch)]  # so that it is known when writes succeed again
        self._fails_since = (self._fails_since or time.monotonic()) if self._left else None
        _wake(jobs)

    def _do_all(self, due: list[Job[Any]]) -> None:
        lines: list[Job[Any]] = []
        for job in due:
            if job.work is None:
                lines.append(job)
                continue
            self._write(lines)
            lines = []
            _attempt([job], partial(job.work, self._connection), self._connection)
        self._write(lines)

    def _write(self, jobs: list[Job[Any]]) -> None:
        """Write lines, those of up to 240 pages together; each page alone if they are refused."""
        pages: dict[str, list[Any]] = {}
        for job in jobs:
            pages.setdefault(job.page, []).append(job.line)
        if len(pages) > _PAGES:
            some = {*islice(pages, _PAGES)}
            self._write([job for job in jobs if job.page in some])
            self._write([job for job in jobs if job.page not in some])
        elif pages:
            _attempt(jobs, partial(self._book.write, self._connection, pages), self._connection)
            if isinstance(jobs[0].error, WriteRefused) and len(pages) > 1:
                for page in pages:
                    self._write_page([job for job in jobs if job.page == page])

    def _write_page(self, jobs: list[Job[Any]]) -> None:
        for job in jobs:
            job.error = None
        self._write(jobs)


def _attempt(jobs: list[Job[Any]], work: Callable[[], Any], connection: sqlite3.Connection) -> None:
    """Do the work of these jobs and set their result."""
    try:
        value = work()
    except sqlite3.Error as error:
        if not (jobs[0].reads and connection.in_transaction):
            raise
        jobs[0].error = error
    except Exception as error:  # noqa: BLE001  raised to the caller; the thread serves the others
        for job in jobs:
            job.error = error
        if not isinstance(error, WriteRefused) and any(job.done is None for job in jobs):
            _log.warning("an event could not be recorded", exc_info=error)
    else:
        jobs[0].value = value  # lines have none


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Generator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _wake(jobs: list[Job[Any]]) -> None:
    waiting = [job.done for job in jobs if job.done is not None]
    for loop in {done.get_loop() for done in waiting}:
        with suppress(RuntimeError):  # the loop is closed, so no caller waits
            loop.call_soon_threadsafe(_set, [done for done in waiting if done.get_loop() is loop])


def _set(done: list[asyncio.Future[None]]) -> None:
    for each in done:
        try:
            each.set_result(None)
        except asyncio.InvalidStateError:  # its caller was cancelled
            continue


def _touch(connection: sqlite3.Connection) -> None:
    """Write a page without changing it."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version}")


def _nothing(_: sqlite3.Connection) -> None:
    """Do nothing; used to wait for earlier work."""
