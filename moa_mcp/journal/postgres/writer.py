"""Writes jobs on one connection, in order: all that wait go in one transaction (group commit).

It retries while the database is away. It belongs to the loop of the connections; jobs come from any thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice

import psycopg

from moa_mcp.errors import JournalError
from moa_mcp.journal.delivery import Delivery
from moa_mcp.journal.postgres import connections
from moa_mcp.journal.postgres.connections import Connection, Database
from moa_mcp.journal.postgres.failures import explained, is_passing
from moa_mcp.journal.postgres.jobs import Job, Line
from moa_mcp.journal.postgres.transaction import JobBatch

_log = logging.getLogger(__name__)
_BATCH = 512
_KNOWN = 20_000
_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
SHORT_S = 2.0
"""Seconds for which a job waits at least."""
CLOSING_S = 3.0
"""Seconds for which the end of a process waits for the database."""


class GroupWriter:
    """The writing connection of a process."""

    def __init__(
        self,
        database: Database,
        lease_s: float,
        delivery: Delivery | None,
        on_written: Callable[[Sequence[Job]], None],
        *,
        texts: bool,
    ) -> None:
        """`told` gets the jobs that were written."""
        self._database = database
        self._lease_s = lease_s
        self._delivery = delivery
        self._on_written = on_written
        self._texts = texts
        self._known: set[tuple[str, str]] = set()
        """Texts that are stored, by owner and hash. They stay as long as the run has this owner."""
        self._jobs: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed_at: float | None = None
        self._failing_since: float | None = None
        """When an outage began; None without one. What comes late in it waits less."""
        self.patience_s = 0.0
        """Seconds to wait for more jobs before a transaction, so that there are fewer of them."""

    @property
    def unwritten_s(self) -> float:
        """Seconds since the outage began; 0 without one."""
        return 0.0 if self._failing_since is None else time.monotonic() - self._failing_since

    def put(self, job: Job) -> None:
        """Queue a job. Its failure is retried for a while; without a caller who waits, for as long as the process."""
        now = time.monotonic()
        since = self._failing_since or now
        job.late_at = max(since + connections.PATIENT_S, now + SHORT_S)
        self._jobs.append(job)
        self._wake.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write_all())

    async def close(self) -> None:
        """Write what is left, if the database is there, and close the connection."""
        self._closed_at = time.monotonic()
        self._wake.set()
        if self._task is not None:
            await self._task
        if self._jobs:
            _log.warning("%d events could not be recorded", len(self._jobs))
        await self._disconnect()

    async def _write_all(self) -> None:
        pause_s = _PAUSE_S
        while self._jobs or self._closed_at is None:
            await self._wake.wait()
            await asyncio.sleep(self.patience_s if self._closed_at is None else 0)
            jobs = [*islice(self._jobs, _BATCH)]
            failed = await self._write(jobs) if jobs else None
            if failed is None:
                pause_s, self._failing_since = _PAUSE_S, None
                self._done(jobs)
            elif is_passing(failed):
                self._failing_since = self._failing_since or time.monotonic()
                self._give_up(failed)
                if self._closed_at is not None and time.monotonic() > self._closed_at + CLOSING_S:
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                await self._write_each(jobs, failed)
            if not self._jobs and self._closed_at is None:
                self._wake.clear()

    def _done(self, jobs: Sequence[Job]) -> None:
        for _ in jobs:
            self._jobs.popleft()
        if jobs:
            self._on_written([job for job in jobs if job.error is None])
            _wake(jobs)

    def _give_up(self, failed: BaseException) -> None:
        """Fail the jobs whose callers have waited long enough. Jobs that nobody waits for stay, in order."""
        now = time.monotonic()
        late = [job for job in self._jobs if job.done is not None and now > job.late_at]
        for job in late:
            job.error = explained(self._database.shown, failed)
        if late:
            self._jobs = deque(job for job in self._jobs if job.error is None)
            _wake(late)

    async def _write_each(self, jobs: Sequence[Job], failed: BaseException) -> None:
        """Write jobs one by one, after an error that one of them causes."""
        for job in jobs:
            error = failed if len(jobs) == 1 else await self._write([job])
            if error is not None and is_passing(error):
                return
            if error is not None:
                job.error = error if isinstance(error, JournalError) else explained(self._database.shown, error)
                if job.done is None:
                    _log.warning("an event could not be recorded: %s", job.error)
            self._done([job])

    async def _write(self, jobs: Sequence[Job]) -> BaseException | None:
        """Write jobs in one transaction; return why that failed."""
        for job in jobs:
            job.error = None
        batch = JobBatch(jobs, self._lease_s, self._known, texts=self._texts)
        try:
            if self._connection is None:
                self._connection = await self._database.connected()
            with connections.watched(self._connection):
                await batch.write(self._connection, self._delivery)
        except Exception as error:  # noqa: BLE001  given to the callers of the jobs; others are still served
            if is_passing(error) or self._connection is None or self._connection.broken:
                await self._disconnect()
            return error
        self._known.update(batch.texts)
        if len(self._known) > _KNOWN:
            self._known.clear()
        return None

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error, OSError):
                await self._connection.close()
            self._connection = None


def lines(jobs: Sequence[Job]) -> frozenset[str]:
    """Return the runs that have new events."""
    return frozenset(job.run_id for job in jobs if isinstance(job, Line))


def _wake(jobs: Sequence[Job]) -> None:
    """Tell those who wait, in their own event loops."""
    waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for job in jobs:
        if job.done is not None:
            waiting.setdefault(job.done.get_loop(), []).append(job.done)
    for loop, done in waiting.items():
        with suppress(RuntimeError):  # the loop is closed, so nobody waits
            loop.call_soon_threadsafe(_set, done)


def _set(done: Sequence[asyncio.Future[None]]) -> None:
    for each in done:
        if not each.done():  # else its caller was cancelled
            each.set_result(None)
