"""The runs of one caller: all that a face of a shared server may use, so that none can show the runs of others.

To a caller, a run of another caller does not exist: the answers are the same, word for word, as for an unknown ID.
Operators see all runs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal, NamedTuple, TypeAlias

from msgspec.structs import replace

from moa_mcp.callers import Caller
from moa_mcp.config import Config, Pipeline
from moa_mcp.errors import MoaError, RunNotFound, RunNotResumable
from moa_mcp.events import Emit
from moa_mcp.journal import Page, RunRecord
from moa_mcp.panels import Resolved
from moa_mcp.providers.backend import Backend
from moa_mcp.runs.admission import Admitted, Ready
from moa_mcp.runs.lookup import every
from moa_mcp.runs.requests import ForkedRun, NewRun, Owner, ResumedRun, RunRequest
from moa_mcp.runs.run import Run
from moa_mcp.runs.runs import Runs
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Question

Action: TypeAlias = Literal["start", "fork", "resume", "cancel", "read"]
_ACTIONS: dict[type[RunRequest], Action] = {NewRun: "start", ForkedRun: "fork", ResumedRun: "resume"}


class Deed(NamedTuple):
    """What a caller did, or was refused."""

    action: Action
    outcome: Literal["done", "refused", "denied"]
    run_id: str
    reason: str = ""


class CallerRuns:
    """The runs that a caller may see, in this and other processes. Its methods are those of `Runs`.

    A method with the ID of a run raises `RunNotFound` for a run that the caller may not see.
    """

    def __init__(self, runs: Runs, caller: Caller, note: Callable[[Deed], None] = lambda _: None) -> None:
        """`note` is called for each run that the caller starts, continues or cancels, and for each one refused."""
        self._runs = runs
        self.caller = caller
        self._note = note

    @property
    def config(self) -> Config:
        """The configuration, with the pipelines that the caller may call."""
        config = self._runs.config
        if self.caller.permissions.pipelines is None:
            return config
        allowed = {name: each for name, each in config.pipelines.items() if self.caller.may_call(name)}
        return replace(config, pipelines=allowed)

    @property
    def backend(self) -> Backend:
        """The providers."""
        return self._runs.backend

    @property
    def shared(self) -> bool:
        """Whether other processes can read the runs."""
        return self._runs.shared

    @property
    def draining(self) -> bool:
        """Whether this process starts no more runs, because it is about to end."""
        return self._runs.draining

    async def admit(self, request: RunRequest) -> Admitted:
        """Return whether a run may start, as `Runs.admit` does. A new run belongs to the caller."""
        if isinstance(request, NewRun):
            if request.continues:
                await self._check(request.continues)
        else:
            await self._check(request.run_id)
            pipeline = await self._runs.pipeline_of(request.run_id)
            if not self.caller.may_call(pipeline.name):
                raise RunNotResumable(f"run {request.run_id} can't continue: its pipeline is not available to you")
        permissions = self.caller.permissions
        owner = Owner(self.caller.name, permissions.max_cost_usd_per_day)
        return await self._runs.admit(replace(request, owner=owner, max_runs=permissions.max_runs))

    async def start(self, ready: Ready, watch: Emit | None = None) -> Run:
        """Start an admitted run, as `Runs.start` does."""
        action = _ACTIONS[type(ready.request)]
        try:
            run = await self._runs.start(ready, watch)
        except MoaError as error:
            self._note(Deed(action, "refused", ready.run_id, str(error)))
            raise
        self._note(Deed(action, "done", run.run_id))
        return run

    async def resolved(self, pipeline: Pipeline) -> Resolved:
        """Return a pipeline with the models that would answer now."""
        return await self._runs.resolved(pipeline)

    async def identified(self, given: str) -> str:
        """Return the ID of a run from its ID, the start of one, or ``last`` for the caller's newest run.

        Raises `RunNotFound`, `RunAmbiguous`, `JournalError`.
        """
        try:
            return await self._runs.identified(given, self._owner)
        except RunNotFound:
            self._denied(given)
            raise

    def find(self, run_id: str) -> Run | None:
        """Return a run that is active in this process; None if it is not."""
        run = self._runs.find(run_id)
        return run if run is not None and self.caller.may_see(run.owner) else None

    async def active(self, run_id: str) -> Run | None:
        """Like `find`, but None if another process claimed the run while this process was suspended."""
        run = await self._runs.active(run_id)
        return run if run is not None and self.caller.may_see(run.owner) else None

    async def cancel(self, run_id: str) -> None:
        """Cancel a run, in whichever process it is active."""
        await self._check(run_id)
        await self._runs.cancel(run_id)
        self._note(Deed("cancel", "done", run_id))

    def abort(self, run: Run) -> None:
        """Cancel a run because its user aborted the request that waits for it."""
        run.cancel()
        self._note(Deed("cancel", "done", run.run_id))

    async def pipeline_of(self, run_id: str) -> Pipeline:
        """Return the recorded pipeline of a run. Raises also `RunNotResumable`."""
        await self._check(run_id)
        return await self._runs.pipeline_of(run_id)

    async def following(self, run_id: str, question: Question) -> Question:
        """Return a question with the turns of the run that it follows. Raises also `RunNotResumable`."""
        await self._check(run_id)
        return await self._runs.following(run_id, question)

    async def record(self, run_id: str) -> RunRecord:
        """Return the record of a run. Raises also `JournalError`."""
        record = await self._runs.journal.record(run_id)
        if record is None or not self.caller.may_see(record.caller):
            self._denied(run_id)
            raise RunNotFound(run_id)
        return record

    async def records(self, *, before: str | None = None, limit: int = 1000) -> tuple[RunRecord, ...]:
        """Return the newest runs that the caller may see, or those older than one of them. Raises `JournalError`."""
        if before is not None:
            await self._check(before)
        return await self._runs.journal.records(caller=self._owner, before=before, limit=limit)

    def every(self) -> AsyncGenerator[RunRecord]:
        """Yield all runs that the caller may see, newest first. Raises `JournalError`."""
        return every(self._runs.journal, caller=self._owner)

    async def events(self, run_id: str, after: int = 0) -> Page:
        """Return the events of a run after a mark. Raises also `JournalError`."""
        await self._check(run_id)
        return await self._runs.events(run_id, after)

    @asynccontextmanager
    async def changes(self, run_id: str) -> AsyncGenerator[Callable[[], Awaitable[None]]]:
        """Return the changes of a run, as `Runs.changes` does."""
        await self._check(run_id)
        async with self._runs.changes(run_id) as changed:
            yield changed

    async def inactive(self, run_id: str) -> RunRecord:
        """Return the record of a run when it has ended or is interrupted. Raises also `JournalError`."""
        await self._check(run_id)
        return await self._runs.inactive(run_id)

    async def trace(self, run_id: str) -> Trace:
        """Return a run's trace so far. Raises also `JournalError`."""
        await self._check(run_id)
        return await self._runs.trace(run_id)

    @property
    def _owner(self) -> str | None:
        """Whose runs the caller sees; None for those of all."""
        return None if self.caller.permissions.operator else self.caller.name

    def quiet(self) -> CallerRuns:
        """Return the same runs for what outlives the request. It notes nothing."""
        return CallerRuns(self._runs, self.caller)

    def _denied(self, run_id: str) -> None:
        """Note that the caller asked for a run that it may not see. Whether there is one must not even show in time."""
        if self._owner is not None:
            self._note(Deed("read", "denied", run_id))

    async def _check(self, run_id: str) -> None:
        if self._owner is not None and self.find(run_id) is None:
            await self.record(run_id)
