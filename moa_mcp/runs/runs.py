"""Runs of this process and recorded runs: start, wait, cancel, resume, look up.

Active runs belong to one task group, which the server's lifespan or a command owns. The journal stores them for later
processes.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from weakref import WeakValueDictionary

import anyio
from anyio.abc import TaskGroup

from moa_mcp.config import Config, Pipeline
from moa_mcp.errors import JournalError, RunNotFound, RunNotResumable
from moa_mcp.events import Emit, tee
from moa_mcp.journal import Journal, Page, RunRecord
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.panels import Resolved
from moa_mcp.providers.backend import Backend
from moa_mcp.runs.admission import Admission, Admitted, Ready, RunRefused, Work
from moa_mcp.runs.executor import Executor
from moa_mcp.runs.in_memory import InMemoryRuns
from moa_mcp.runs.leases import Leases
from moa_mcp.runs.lookup import every, find_run
from moa_mcp.runs.observers import Observation, Observer
from moa_mcp.runs.record import StartPoint, StoredRun, reopened
from moa_mcp.runs.requests import ResumedRun, RunRequest
from moa_mcp.runs.retention import Retention
from moa_mcp.runs.run import Run
from moa_mcp.runs.store import RunStore, not_resumable
from moa_mcp.runs.watching import changes, inactive
from moa_mcp.trace.trace import Trace
from moa_mcp.values import ACTIVE, Question

_log = logging.getLogger(__name__)
_END_S = 5.0
_SHORTEST = 4
"""Characters of an ID that stand for it: fewer may be a number that was not meant as an ID."""

_DRAINING = "this server is shutting down and starts no more runs; call again in a few seconds"


class Runs:
    """The active runs of this process, and the recorded runs of the journal."""

    def __init__(
        self,
        config: Config,
        backend: Backend,
        journal: Journal | None = None,
        observers: Sequence[Observer] = (),
        executor: Callable[[Config, Backend, Journal], Executor] = Executor,
    ) -> None:
        self.config = config
        self._observers = observers
        self.backend = backend
        self.shared = journal is not None and journal.keeps_texts and not isinstance(journal, MemoryJournal)
        """Whether other processes can read the runs."""
        self.journal = journal or MemoryJournal()
        self._in_memory = InMemoryRuns()
        self._store = RunStore(self.journal, self._in_memory, simulated=backend.simulated)
        self._admission = Admission(config, backend, self._store)
        self._executor = executor(config, backend, self.journal)
        self.executes = self._executor.is_local
        """Whether this process executes its runs. Otherwise it puts them into a queue and follows them."""
        self._retention = Retention(config.journal, self.journal)
        self._active: dict[str, Run] = {}
        self._leases = Leases(self.journal, self._active)
        self._resuming: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()
        """By run, while it is being resumed: a concurrent resume of the same run returns that run."""
        self._tasks: TaskGroup | None = None
        self.draining = False
        """Whether this process starts no more runs, because it is about to end."""

    def use(self, config: Config, backend: Backend) -> None:
        """Use another configuration for new runs. Active runs keep theirs, but for the limits of shared budgets."""
        self.config = config
        self.backend = backend
        self._admission.use(config, backend)
        self._executor.use(config, backend)
        self._retention.use(config.journal)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Runs]:
        """Open the scope in which runs can be started. On exit, active runs stop; they can be resumed."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                tasks.start_soon(self._leases.keep)
                tasks.start_soon(self._leases.hear)
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
            await self.flush()

    async def flush(self) -> None:
        """Let the observers send what is left, in a few seconds at most."""
        for each in self._observers:
            await each.flush()

    async def admit(self, request: RunRequest) -> Admitted:
        """Return whether a run may start, needs the confirmation of its cost first, or can't start.

        Raises:
            RunNotFound: the run to resume, to fork or to follow with a question is not recorded.
            RunNotResumable: that run is complete, is active in another process, or can't be continued here. Or a
                question can't follow it, because it has no answer.
            JournalError: the journal can't be read.

        """
        if isinstance(request, ResumedRun) and await self.active(request.run_id):
            return self._admission.active(request)
        if self.draining:
            return RunRefused("draining", _DRAINING, ())
        return await self._admission.admit(request)

    async def start(self, ready: Ready, watch: Emit | None = None) -> Run:
        """Start an admitted run and return when it is recorded. If a run to resume is active here, return that one.

        `watch` also gets every event, with the streamed text of the last answer.

        Raises:
            TypeError: the value is not a `Ready`.
            RuntimeError: the run was started before, or admitted by other `Runs`.
            RunNotResumable: the run to resume has become complete, or active in another process; or a run with the ID
                of a new one is recorded already.
            TooManyRuns: its owner has as many active runs as it may.
            JournalError: the run can't be recorded. No model was called.

        """
        ready = self._admission.take(ready)
        work = ready.work
        if work is None or isinstance(ready.request, ResumedRun):
            unless_ended = isinstance(ready.request, ResumedRun) and ready.request.unless_ended
            max_runs = ready.request.max_runs
            return await self._resume(ready.run_id, work, watch, unless_ended=unless_ended, max_runs=max_runs)
        self._require_open()
        work = _streaming(work, watch)
        if not await self._executor.record(work, max_runs=ready.request.max_runs):
            raise RunNotResumable(f"run {ready.run_id} was begun before; wait for it, or resume it")
        return self._begin(_fresh(work.stored), work, work.start, watch)

    async def _resume(
        self, run_id: str, work: Work | None, watch: Emit | None, *, unless_ended: bool, max_runs: int | None
    ) -> Run:
        lock = self._resuming.setdefault(run_id, anyio.Lock())
        async with lock:
            running = await self.active(run_id)
            if running is not None:
                return running
            if work is None:
                raise RunNotResumable(f"run {run_id} has just ended; check its result before you resume it")
            self._require_open()
            before = await self._store.events(run_id)
            reopened(work.stored, before.events)  # raises before the claim if the events can't be read
            claim = await self.journal.claim(run_id, max_runs=max_runs)
            if claim is None:
                raise not_resumable(await self._store.record(run_id))
            if unless_ended and claim.before not in ACTIVE:  # it was cancelled while it was admitted
                await self.journal.finish(run_id, claim.before)
                raise RunNotResumable(f"run {run_id} is {claim.before}")
            if not claim.began:
                return self._begin(_fresh(work.stored), work, StartPoint(), watch)
            events = before.events
            with anyio.CancelScope(shield=True):  # a claimed run must start
                events += (await self._store.events(run_id, before.mark)).events
            run, start = reopened(work.stored, events)
            return self._begin(run, work, start, watch)

    async def _resume_all(self) -> None:
        """Resume interrupted runs. A queued run is left to those who execute the runs of a queue."""
        try:
            left = [each.run_id async for each in every(self.journal, {"running"}) if not each.owned]
        except JournalError as error:
            _log.warning("%s", error)
            return
        for run_id in left:
            try:
                await self._resume_unattended(run_id)
            # another process was faster, or the run needs another server
            except (RunNotResumable, RunNotFound, JournalError) as error:
                _log.info("%s", error)

    async def _resume_unattended(self, run_id: str) -> None:
        admitted = await self.admit(ResumedRun(run_id=run_id))
        if isinstance(admitted, Ready):
            await self.start(admitted)
        else:
            _log.info("run %s is not resumed: %s", run_id, admitted)

    async def resolved(self, pipeline: Pipeline) -> Resolved:
        """Return a pipeline with the models that would answer now."""
        return await self._admission.resolver.resolve(pipeline)

    async def identified(self, given: str, caller: str | None = None) -> str:
        """Return the ID of a run from its ID, the start of one, or ``last`` for the newest run.

        With a `caller`, only the runs of that caller exist. Raises `RunNotFound`, `RunAmbiguous`, `JournalError`.
        """
        given = given.strip()
        run = self._active.get(given)
        if run is not None and caller in {None, run.owner}:
            return given
        return (await find_run(self.journal, given, shortest=_SHORTEST, caller=caller)).run_id

    async def pipeline_of(self, run_id: str) -> Pipeline:
        """Return the recorded pipeline of a run. Raises `RunNotFound`, `RunNotResumable`."""
        return (await self._store.load(run_id)).spec.pipeline

    async def following(self, run_id: str, question: Question) -> Question:
        """Return a question with the turns of the run that it follows. Raises `RunNotFound`, `RunNotResumable`."""
        return await self._store.following(run_id, question)

    def _require_open(self) -> TaskGroup:
        if self._tasks is None:
            raise RuntimeError("runs are started inside `async with runs.open()`")
        return self._tasks

    def _begin(self, run: Run, work: Work, start: StartPoint, watch: Emit | None) -> Run:
        tasks = self._require_open()
        work = _streaming(work, watch)
        spec = work.stored.spec
        self._active[run.run_id] = run
        self._leases.begun()
        if not self.journal.keeps_texts:
            watch = self._in_memory.begin(work.stored, watch)
        self._retention.due.set()
        # Here, and not in the task of the run: observers see the request that starts it.
        observers = self._observers if self.executes else ()
        observed = [each.begin(run.run_id, spec.pipeline.name, start.traceparents) for each in observers]
        tasks.start_soon(self._execute, run, work, start, watch, observed)
        return run

    async def _execute(
        self, run: Run, work: Work, start: StartPoint, watch: Emit | None, observed: Sequence[Observation]
    ) -> None:
        emits = [*((watch,) if watch else ()), *(each.emit for each in observed)]
        traceparent = next((each.traceparent for each in observed if each.traceparent), "")
        try:
            await self._executor.run(run, work, start, tee(*emits) if emits else None, traceparent)
        finally:
            for each in observed:
                each.end()
            del self._active[run.run_id]
            run.end()

    def find(self, run_id: str) -> Run | None:
        """Return a run that is active in this process; None if it is not."""
        return self._active.get(run_id)

    async def active(self, run_id: str) -> Run | None:
        """Like `find`, but None if another process claimed the run while this process was suspended."""
        return await self._leases.checked(run_id)

    async def cancel(self, run_id: str) -> None:
        """Cancel a run, in whichever process it is active. Raises `RunNotFound`."""
        run = self.find(run_id)
        if run is not None:
            run.cancel()
            with anyio.move_on_after(_END_S):
                await run.ended.wait()
        else:
            await self._store.record(run_id)
            await self.journal.cancel(run_id)

    def stop_all(self) -> None:
        """Stop all active runs of this process. They can be resumed."""
        for run in self._active.values():
            run.scope.cancel()

    def drain(self) -> None:
        """Start no more runs. Active runs go on."""
        self.draining = True

    async def idle(self) -> None:
        """Return when no run is active in this process."""
        while self._active:
            await next(iter(self._active.values())).ended.wait()

    async def record(self, run_id: str) -> RunRecord:
        """Return the record of a run. Raises `RunNotFound`, `JournalError`."""
        return await self._store.record(run_id)

    async def events(self, run_id: str, after: int = 0) -> Page:
        """Return the recorded events of a run after a mark. Raises `RunNotFound`, `JournalError`."""
        return await self._store.events(run_id, after)

    def changes(self, run_id: str) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """Return the changes of a recorded run from entering on: a function that returns at the next one.

        It may return without a change.
        """
        return changes(self.journal, run_id)

    async def inactive(self, run_id: str) -> RunRecord:
        """Return the record of a run when it has ended or is interrupted. Raises `RunNotFound`, `JournalError`."""
        record = await inactive(self.journal, run_id)
        if record is None:
            raise RunNotFound(run_id)
        return record

    async def trace(self, run_id: str) -> Trace:
        """Return a run's trace so far. Raises `RunNotFound`."""
        run = await self.active(run_id)
        if run is not None:
            return run.trace
        return await self._store.trace(run_id)


def _streaming(work: Work, watch: Emit | None) -> Work:
    """Return a run whose last answer is streamed if there is who watches."""
    stream = watch is not None
    if work.stored.spec.stream == stream:
        return work
    return work._replace(stored=replace(work.stored, spec=replace(work.stored.spec, stream=stream)))


def _fresh(stored: StoredRun) -> Run:
    spec = stored.spec
    trace = Trace(spec.run_id, spec.pipeline.name, spec.question, spec.seed, continues=spec.continues or None)
    return Run(spec.run_id, trace, stored.owner.name)
