"""The queue of run IDs, in tables of Procrastinate beside those of the journal.

A run and its message are stored in one transaction, so every recorded run is delivered. Messages are taken
with Procrastinate's statements, but not with its worker: that one ends running jobs in an outage, and may hang on a
connection that is half open (its issues 1513 and 1598). Here each statement has a time limit, and a broken pool is
replaced.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias, TypeVar

import anyio
from anyio.abc import TaskGroup
from procrastinate import App, PsycopgConnector, utils
from procrastinate.exceptions import ConnectorException, ProcrastinateException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from procrastinate.types import JSONValue
from psycopg import Error
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import PoolTimeout

from moa_mcp.errors import JournalError
from moa_mcp.journal.delivery import Take
from moa_mcp.workers.migrating import SCHEMA, Connection, migrated

_log = logging.getLogger(__name__)

_NAME = "moa"
_TASK = "moa.execute"
_CONNECTIONS = 4
"""Most connections that take and finish messages; one more listens."""
_LOOK_S = 5.0
"""Seconds between two looks for messages, in case a notification was lost."""
_AGAIN_S = 1.0
"""Seconds between two attempts in an outage."""
_SILENT_S = 10.0
"""Seconds without an answer after which a connection counts as broken."""
_LEAVE_S = 2.0
_FORGOTTEN = 10
"""Leases after which the entry of a dead worker is deleted."""
_LOST = (ProcrastinateException, Error, PoolTimeout, OSError, TimeoutError)
_RAISED = "P0001"
"""SQLSTATE of what Procrastinate's functions raise: the message is not in the state that it had."""

Value = TypeVar("Value")
_Work: TypeAlias = Callable[[JobManager], Awaitable[Value]]


class Queue:
    """Delivers the IDs of queued runs to workers. `put` may be used from any event loop, the rest from one."""

    def __init__(self, address: str, *, lease_s: float) -> None:
        """Take the address of the journal's database.

        Args:
            address: As for the journal, `postgresql://…`.
            lease_s: Seconds without a heartbeat after which a worker counts as dead.

        """
        given = conninfo_to_dict(address)
        options = f"{given.pop('options', '')} -c search_path={SCHEMA}".strip()
        defaults: dict[str, Any] = {
            "application_name": "moa-mcp queue",
            "connect_timeout": 5,
            "tcp_user_timeout": 10_000,
        }
        self._conninfo = make_conninfo("", **{**defaults, **given, "options": options})
        self._lease_s = lease_s
        self._app = self._new_app()
        self._is_open = False
        self._opening = anyio.Lock()
        self._worker_id: int | None = None
        self._is_away = False
        self._woken = anyio.Event()

    def _new_app(self) -> App:
        connector = PsycopgConnector(conninfo=self._conninfo, min_size=1, max_size=_CONNECTIONS, timeout=_SILENT_S / 2)
        return App(connector=connector)

    async def migrate(self, connection: Connection) -> None:
        """Create or upgrade the tables, in a transaction of the journal that no other process has. See `migrated`."""
        await migrated(connection)

    async def put(self, run_ids: Sequence[str], connection: Connection) -> None:
        """Add runs to the queue, in the transaction of a connection of the journal."""
        await connection.execute(f"SET LOCAL search_path TO {SCHEMA}")
        messages: list[dict[str, JSONValue]] = [{"run_id": each} for each in run_ids]
        task = self._app.configure_task(_TASK, queue=_NAME, connection=connection)
        await task.batch_defer_async(*messages)
        await connection.execute("SET LOCAL search_path TO DEFAULT")

    async def work(self, take: Take, *, at_once: int, stop: anyio.Event) -> None:
        """Take runs from the queue, `at_once` at most, until `stop` is set; return when those have ended."""
        slots = anyio.Semaphore(at_once)
        async with anyio.create_task_group() as running, anyio.create_task_group() as taking:
            taking.start_soon(self._listen)
            taking.start_soon(self._beat)
            taking.start_soon(self._deliver, take, slots, running)
            await stop.wait()
            taking.cancel_scope.cancel()
        await self._leave()

    async def revive(self) -> int:
        """Put messages back into the queue that dead workers have taken, and return their number.

        Raises:
            JournalError: the database can't be reached.

        """
        stalled = await self._do(
            lambda manager: manager.get_stalled_jobs(queue=_NAME, seconds_since_heartbeat=self._lease_s)
        )
        revived = [await self._do(_put_back(job)) for job in stalled]
        await self._do(lambda manager: manager.prune_stalled_workers(_FORGOTTEN * self._lease_s))
        return revived.count(True)

    async def _deliver(self, take: Take, slots: anyio.Semaphore, running: TaskGroup) -> None:
        """Take messages until cancelled. None waits here for room: another worker may have room now."""
        while True:
            await slots.acquire()
            running.start_soon(self._delivered, await self._next(), take, slots)

    async def _next(self) -> Job:
        while True:
            self._woken = anyio.Event()
            job: Job | None = None
            try:
                with anyio.CancelScope(shield=True):  # a message that is taken is delivered
                    job = await self._do(self._fetched)
                if job is not None:
                    return job
            except JournalError:
                await anyio.sleep(_AGAIN_S)
                continue
            with anyio.move_on_after(_LOOK_S):
                await self._woken.wait()

    async def _fetched(self, manager: JobManager) -> Job | None:
        if self._worker_id is None:
            self._worker_id = await manager.register_worker()
        return await manager.fetch_job(queues=[_NAME], worker_id=self._worker_id)

    async def _delivered(self, job: Job, take: Take, slots: anyio.Semaphore) -> None:
        """Have a run taken, finish its message, and keep its place until it has ended."""
        try:
            ended = await take(str(job.task_kwargs["run_id"]))
        except JournalError:
            await self._surely(_put_back(job, _AGAIN_S))
        else:
            await self._surely(_finish(job))
            if ended is not None:
                await ended.wait()
        slots.release()

    async def _surely(self, work: _Work[bool]) -> None:
        """Do this to a message as soon as the database can be reached."""
        while True:
            try:
                await self._do(work)
            except JournalError:
                await anyio.sleep(_AGAIN_S)
            else:
                return

    async def _listen(self) -> None:
        async def wake(**_: object) -> None:
            self._woken.set()

        while True:
            self._woken.set()  # messages may have come while nobody listened
            try:
                await self._open()
                await self._app.job_manager.listen_for_jobs(on_notification=wake, queues=[_NAME])
            except _LOST:
                await anyio.sleep(_AGAIN_S)

    async def _beat(self) -> None:
        """Tell the other workers that this one lives, until cancelled."""
        while True:
            await anyio.sleep(self._lease_s / 3)
            if self._worker_id is not None:
                with suppress(JournalError):
                    await self._do(partial(JobManager.update_heartbeat, worker_id=self._worker_id))

    async def _do(self, work: _Work[Value]) -> Value:
        """Do something with messages. Raises `JournalError` if the database can't be reached."""
        app = self._app
        try:
            with anyio.fail_after(_SILENT_S):
                await self._open()
                value = await work(app.job_manager)
        except _LOST as error:
            if app is self._app:
                await self._replace(error)
            raise JournalError(f"the queue can't be reached ({type(error).__name__})") from None
        if self._is_away and app is self._app:  # an answer by an earlier connection came before the outage
            self._is_away = False
            _log.warning("the queue can be reached again")
        return value

    async def _open(self) -> None:
        async with self._opening:
            if not self._is_open:
                await self._app.open_async()
                self._is_open = True

    async def _replace(self, error: Exception) -> None:
        """Start anew with other connections: these may be half open."""
        if not self._is_away:
            _log.warning("the queue can't be reached (%s); trying again", type(error).__name__)
        app, self._app = self._app, self._new_app()
        self._is_open, self._is_away, self._worker_id = False, True, None
        with anyio.move_on_after(_LEAVE_S, shield=True):
            await app.close_async()

    async def _leave(self) -> None:
        with anyio.move_on_after(_LEAVE_S, shield=True), suppress(JournalError):
            if self._worker_id is not None:
                await self._do(partial(JobManager.unregister_worker, worker_id=self._worker_id))
            await self._app.close_async()


def _finish(job: Job) -> _Work[bool]:
    return lambda manager: _unless_gone(manager.finish_job(job, Status.SUCCEEDED, delete_job=True))


def _put_back(job: Job, after_s: float = 0.0) -> _Work[bool]:
    at = utils.utcnow() + timedelta(seconds=after_s)
    return lambda manager: _unless_gone(manager.retry_job(job, at))


async def _unless_gone(change: Awaitable[None]) -> bool:
    """Change a message; return False if it is not in the state for it: another worker was faster."""
    try:
        await change
    except ConnectorException as error:
        if getattr(error.__cause__, "sqlstate", None) == _RAISED:
            return False
        raise
    return True
