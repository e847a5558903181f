"""All runs of a process, and those on record: started, waited for, cancelled, resumed, looked up.

They live in one task group that the server's lifespan, or a command, owns; the journal holds what outlives the process.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
from anyio.abc import TaskGroup

from moa_mcp.config import Config, Pipeline
from moa_mcp.errors import JournalError, RunNotFound, RunNotResumable
from moa_mcp.events import Emit
from moa_mcp.journal import Journal
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.providers.backend import Backend
from moa_mcp.runs.admission import Admission, Admitted, Ready, Work
from moa_mcp.runs.driver import Driver
from moa_mcp.runs.kept import Kept
from moa_mcp.runs.leases import Leases
from moa_mcp.runs.order import Opening, reopened
from moa_mcp.runs.requests import ResumedRun, RunRequest
from moa_mcp.runs.retention import Retention
from moa_mcp.runs.run import Run
from moa_mcp.runs.stored import StoredRuns, held
from moa_mcp.trace.trace import Trace

_log = logging.getLogger(__name__)
_LAST_WORDS_S = 5.0


class Runs:
    """All runs of a process, and those on record."""

    def __init__(self, config: Config, backend: Backend, journal: Journal | None = None) -> None:
        self.config = config
        self.backend = backend
        self.journal = journal or MemoryJournal()
        self._kept = Kept()
        self._stored = StoredRuns(self.journal, self._kept, simulated=backend.simulated)
        self._admission = Admission(config, backend, self._stored)
        self._driver = Driver(config, backend, self.journal)
        self._retention = Retention(config.journal, self.journal)
        self._under_way: dict[str, Run] = {}
        self._leases = Leases(self.journal, self._under_way)
        self._resuming = anyio.Lock()
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Runs]:
        """Own the runs that are started inside; at the end, leave those that still go on, for a resume."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                tasks.start_soon(self._leases.keep)
                tasks.start_soon(self._retention.apply)
                if self.config.journal.resume == "auto":
                    tasks.start_soon(self._resume_all)
                try:
                    yield self
                finally:
                    self._tasks = None
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self.backend.close()
                await self._retention.end()
            await self.journal.close()

    async def admit(self, request: RunRequest) -> Admitted:
        """Return whether a run may start, needs the confirmation of its cost first, or can't start.

        Raises:
            RunNotFound: the run to resume or fork is not recorded.
            RunNotResumable: it is complete, is active in another process, or can't be continued here.
            JournalError: the journal can't be read.

        """
        if isinstance(request, ResumedRun) and await self.under_way(request.run_id):
            return self._admission.active(request)
        return await self._admission.admit(request)

    async def start(self, ready: Ready, watch: Emit | None = None) -> Run:
        """Start an admitted run and return at once. A run to resume that is active here already is returned.

        With `watch`, events go there too, the last answer's text included.

        Raises:
            TypeError: what is given was not admitted.
            RunNotResumable: the run to resume is meanwhile complete, or active in another process.

        """
        ready = self._admission.take(ready)
        work = ready.work
        if work is None or isinstance(ready.request, ResumedRun):
            return await self._resume(ready.run_id, work, watch)
        spec = work.order.spec
        run = Run(spec.run_id, Trace(spec.run_id, spec.pipeline.name, spec.question, spec.seed))
        return self._begin(run, work, work.opening, watch)

    async def _resume(self, run_id: str, work: Work | None, watch: Emit | None) -> Run:
        async with self._resuming:  # who resumes the same run meanwhile gets that one
            running = await self.under_way(run_id)
            if running is not None:
                return running
            if work is None:
                raise RunNotResumable(f"run {run_id} ended just now; look at it before you resume it")
            await self._stored.check_free(run_id)
            events = await self._stored.events(run_id)
            reopened(work.order, events)  # one that can't be read is left as it is
            with anyio.CancelScope(shield=True):  # a run that is claimed is run
                if not await self.journal.claim(run_id):
                    raise held(await self._stored.record(run_id))
                events = await self._stored.events(run_id)
            run, opening = reopened(work.order, events)
            return self._begin(run, work, opening, watch)

    async def _resume_all(self) -> None:
        try:
            records = await self.journal.records()
        except JournalError as error:
            _log.warning("%s", error)
            return
        for record in records:
            if record.status == "running" and not record.owned:
                try:
                    await self._resume_unattended(record.run_id)
                except (
                    RunNotResumable,
                    RunNotFound,
                    JournalError,
                ) as error:  # others were faster, or it needs another server
                    _log.info("%s", error)

    async def _resume_unattended(self, run_id: str) -> None:
        admitted = await self.admit(ResumedRun(run_id=run_id))
        if isinstance(admitted, Ready):
            await self.start(admitted)
        else:
            _log.info("run %s is not resumed: %s", run_id, admitted)

    async def pipeline_of(self, run_id: str) -> Pipeline:
        """Return the pipeline of a run, as it was. Raises `RunNotFound`, `RunNotResumable`."""
        return (await self._stored.order(run_id)).spec.pipeline

    def _begin(self, run: Run, work: Work, opening: Opening, watch: Emit | None) -> Run:
        if self._tasks is None:
            raise RuntimeError("runs are started inside `async with runs.open()`")
        spec = replace(work.order.spec, stream=watch is not None)
        work = work._replace(order=replace(work.order, spec=spec))
        self._under_way[run.run_id] = run
        if not self.journal.keeps_texts:
            watch = self._kept.begin(work.order, watch)
        self._retention.due.set()
        self._tasks.start_soon(self._drive, run, work, opening, watch)
        return run

    async def _drive(self, run: Run, work: Work, opening: Opening, watch: Emit | None) -> None:
        try:
            await self._driver.drive(run, work, opening, watch)
        finally:
            del self._under_way[run.run_id]
            run.end()

    def find(self, run_id: str) -> Run | None:
        """Return a run that is under way in this process."""
        return self._under_way.get(run_id)

    async def under_way(self, run_id: str) -> Run | None:
        """Return what `find` does, unless another process took it over while this one was stopped."""
        return await self._leases.checked(run_id)

    async def cancel(self, run_id: str) -> None:
        """End a run, wherever it is driven. Raises `RunNotFound`."""
        run = self.find(run_id)
        if run is not None:
            run.cancel()
            with anyio.move_on_after(_LAST_WORDS_S):
                await run.ended.wait()
        else:
            await self._stored.record(run_id)
            await self.journal.cancel(run_id)

    def stop_all(self) -> None:
        """Stop driving every run that is under way; they can be resumed."""
        for run in self._under_way.values():
            run.scope.cancel()

    async def idle(self) -> None:
        """Return when no run is under way."""
        for run in list(self._under_way.values()):
            await run.ended.wait()

    async def trace(self, run_id: str) -> Trace:
        """Return a run's trace so far. Raises `RunNotFound`."""
        run = await self.under_way(run_id)
        if run is not None:
            return run.trace
        return await self._stored.trace(run_id)
