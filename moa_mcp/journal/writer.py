"""One thread that writes to a SQLite file for a whole process: what waits for it goes into one transaction.

It knows SQLite and threads, and nothing of what is written.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

_log = logging.getLogger(__name__)
_BATCH = 512

Value = TypeVar("Value")
Work = Callable[[sqlite3.Connection], Value]


class Refused(Exception):
    """Raised by a piece of work that wrote nothing and concerns nobody else in its transaction."""


@dataclass(slots=True, eq=False)
class _Job(Generic[Value]):
    work: Work[Value]
    token: Any = None
    """The event loop where somebody waits; None if nobody does."""
    done: anyio.Event | None = None
    value: Value | None = None
    error: Exception | None = None


class Writer:
    """Does work on a connection, in order, grouped into transactions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._left: list[_Job[Any]] = []
        """What nobody waits for and could not be written; it goes first when it can."""
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="moa-journal", daemon=True)
        self._thread.start()

    async def do(self, work: Work[Value]) -> Value:
        """Do a piece of work and return its value once its transaction is committed.

        Raises:
            Refused: the work refused.
            sqlite3.Error: the transaction failed; nothing of it was written.

        """
        if self._closed:
            raise sqlite3.ProgrammingError("it is closed")
        job: _Job[Value] = _Job(work, anyio.lowlevel.current_token(), done := anyio.Event())
        self._jobs.put(job)
        await done.wait()
        if job.error is not None:
            raise job.error
        return cast("Value", job.value)

    def soon(self, work: Work[object]) -> None:
        """Do a piece of work in its turn, without anybody waiting for it."""
        self._jobs.put(_Job(work))

    async def close(self) -> None:
        """Do what is left, and close the connection."""
        self._closed = True
        self._jobs.put(None)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._thread.join)

    def _loop(self) -> None:
        jobs: list[_Job[Any]] | None = []
        while jobs is not None:
            jobs, last = self._next()
            self._commit(jobs)
            if last:
                jobs = None
        if self._left:
            _log.warning("%d events could not be put on record", len(self._left))
        self._connection.close()

    def _next(self) -> tuple[list[_Job[Any]], bool]:
        """Return what waits, at least one piece unless it is the end, and whether it is the end."""
        jobs: list[_Job[Any]] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == _BATCH or self._jobs.empty():
                return jobs, False
            job = self._jobs.get()
        return jobs, True

    def _commit(self, jobs: list[_Job[Any]]) -> None:
        due, self._left = [*self._left, *jobs], []
        if not due:
            return
        try:
            with _transaction(self._connection):
                for job in due:
                    _do(job, self._connection)
        except sqlite3.Error as error:
            for job in jobs:
                job.error = error
            if isinstance(error, sqlite3.OperationalError):  # no room, no access: it may pass
                self._left = [job for job in due if job.done is None]
        _wake(jobs)


def _do(job: _Job[Any], connection: sqlite3.Connection) -> None:
    try:
        job.value = job.work(connection)
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001  whoever waits gets it; the thread serves all others
        job.error = error
        if job.done is None and not isinstance(error, Refused):
            _log.warning("an event could not be put on record", exc_info=error)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Generator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _wake(jobs: list[_Job[Any]]) -> None:
    waiting: dict[Any, list[anyio.Event]] = {}
    for job in jobs:
        if job.done is not None:
            waiting.setdefault(job.token, []).append(job.done)
    for token, events in waiting.items():
        try:
            anyio.from_thread.run_sync(_set, events, token=token)
        except anyio.RunFinishedError:  # the loop is gone, and with it whoever waited
            continue


def _set(events: list[anyio.Event]) -> None:
    for event in events:
        event.set()
