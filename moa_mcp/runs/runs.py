"""All runs of a process, and those on record: started, waited for, cancelled, resumed, looked up.

They live in one task group that the server's lifespan, or a command, owns; the journal holds what outlives the process.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial

import anyio
from anyio.abc import TaskGroup

from moa_mcp import replay
from moa_mcp.backend import Backend
from moa_mcp.config import Config, Pipeline, models_of
from moa_mcp.engine import Reached, RunSpec, execute, started
from moa_mcp.errors import JournalError, RunHeld, RunUnknown
from moa_mcp.events import Emit, Event, RunFinished, RunForked, RunResumed, tee
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.model import Before, Budget, Limits, Shared, remembered, stack
from moa_mcp.preflight import windows
from moa_mcp.routes import Route
from moa_mcp.runs.funding import Unstarted, funded
from moa_mcp.runs.money import Purses
from moa_mcp.runs.order import Opening, Order, ordered, recorded, traced, whole
from moa_mcp.runs.retention import Retention
from moa_mcp.runs.run import Run
from moa_mcp.trace import Trace, trace_of
from moa_mcp.values import Question, State, Status

UNASKED = "no model was asked"
"""How the error of a run begins that could not start, or not go on, for want of keys or servers."""
RENEW_S = 5.0
"""Seconds between signs of life of the runs that this process drives; a third of the journal's lease."""

_BEGINNING = 8
"""Runs that are put on record at once. The first ask their models while others wait for it: begun all together, they
would come to every layer together, too, and all wait there for the processor."""

_log = logging.getLogger(__name__)
_SEEDS = 2**32
_LAST_WORDS_S = 5.0


class Runs:
    """All runs of a process, and those on record."""

    def __init__(self, config: Config, backend: Backend, journal: Journal | None = None) -> None:
        self.config = config
        self.backend = backend
        self.journal = journal or MemoryJournal()
        defaults = config.defaults
        self._shared = Shared(
            Limits(
                attempts=defaults.attempts,
                concurrency=defaults.concurrency,
                provider_concurrency=defaults.provider_concurrency,
                requests_per_minute=defaults.requests_per_minute,
                tokens_per_minute=defaults.tokens_per_minute,
            ),
            defaults.stall_s,
            cache_first=defaults.cache_first,
        )
        self._purses = Purses(defaults, self.journal)
        self._retention = Retention(defaults, self.journal)
        self._under_way: dict[str, Run] = {}
        self._resuming = anyio.Lock()
        self._beginning = anyio.Semaphore(_BEGINNING)
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Runs]:
        """Own the runs that are started inside; at the end, leave those that still go on, for a resume."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                tasks.start_soon(self._renew)
                tasks.start_soon(self._retention.apply)
                if self.config.defaults.resume == "auto":
                    tasks.start_soon(self._resume_all)
                try:
                    yield self
                finally:
                    self._tasks = None
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self.backend.close()
            await self.journal.close()

    def start(
        self,
        pipeline: Pipeline,
        question: Question,
        *,
        seed: int | None = None,
        max_cost_usd: Decimal | None = None,
        deadline_s: float | None = None,
        watch: Emit | None = None,
    ) -> Run:
        """Start a run and return at once.

        `max_cost_usd` and `deadline_s` take the place of the configured ones. With `watch`, events go there too, the
        last answer's text included.
        """
        drawn = secrets.randbelow(_SEEDS) if seed is None else seed
        question = whole(question)
        spec = RunSpec(
            secrets.token_hex(8),
            pipeline,
            question,
            drawn,
            max_cost_usd=max_cost_usd or self.max_cost_usd(pipeline),
            stream=watch is not None,
            deadline_s=pipeline.deadline_s if deadline_s is None else deadline_s,
        )
        routes = {alias: self._routes(alias) for alias in models_of(pipeline)}
        order = Order(spec, routes, self.backend.simulated)
        return self._begin(
            Run(spec.run_id, Trace(spec.run_id, pipeline.name, question, drawn)), order, watch, Opening()
        )

    def max_cost_usd(self, pipeline: Pipeline) -> Decimal | None:
        """Return what a run of a pipeline may cost, in US dollars, where its caller says nothing."""
        return pipeline.max_cost_usd or self.config.defaults.max_cost_usd

    async def resume(self, run_id: str, *, max_cost_usd: Decimal | None = None, watch: Emit | None = None) -> Run:
        """Go on with a run that was interrupted, failed or cancelled; what it has paid for is not paid again.

        `max_cost_usd` takes the place of what the run, all of it, was allowed to cost.

        Raises:
            RunUnknown: it is not on record.
            RunHeld: it is complete, a living process drives it, or it can't be resumed from here.

        """
        async with self._resuming:  # who asks for the same run meanwhile gets that one
            running = self.find(run_id)
            if running is not None:
                return running
            record = await self._record(run_id)
            order = self._order(record)
            events: tuple[Event, ...] = ()
            if not await self.journal.is_free(run_id):
                raise RunHeld(_held(record))
            with anyio.CancelScope(shield=True):  # a run that is claimed is driven
                if not await self.journal.claim(run_id):
                    raise RunHeld(_held(record))
                events = await self.journal.events(run_id)
            if max_cost_usd is not None:
                order = replace(order, spec=replace(order.spec, max_cost_usd=max_cost_usd))
            return self._go_on(order, events, watch)

    def _go_on(self, order: Order, events: tuple[Event, ...], watch: Emit | None) -> Run:
        spec = replace(order.spec, stream=watch is not None)
        reached = replay.reached(spec.question, events)
        beginning = () if events else (started(spec),)  # it was left before even that was on record
        told = (*beginning, RunResumed(finished_steps=reached.steps))
        trace = trace_of(events)
        trace.run_id, trace.pipeline, trace.status = spec.run_id, spec.pipeline.name, "running"
        opening = Opening(reached, replay.before(events), told, history=events, new=False)
        return self._begin(Run(spec.run_id, trace, on_record=True), replace(order, spec=spec), watch, opening)

    async def _resume_all(self) -> None:
        try:
            records = await self.journal.records()
        except JournalError as error:
            _log.warning("%s", error)
            return
        for record in records:
            if record.status == "running" and not record.owned:
                try:
                    await self.resume(record.run_id)
                except (RunHeld, RunUnknown, JournalError) as error:  # others were faster, or it needs another server
                    _log.info("%s", error)

    async def fork(
        self, run_id: str, step: int, pipeline: Pipeline, *, seed: int | None = None, watch: Emit | None = None
    ) -> Run:
        """Start a new run from the answers that stood before a step of another, paying only for what follows.

        `pipeline` is the other's with changes from that step on; a model new in it is served where the configuration
        says, or is its own route.

        Raises:
            RunUnknown: the run is not on record.
            RunHeld: it did not come so far, or can't be gone on with from here.

        """
        order = self._order(await self._record(run_id))
        events = await self.journal.events(run_id)
        inherited = replay.until(events, step)
        reached = replay.reached(order.spec.question, inherited)
        if reached.steps != step - 1:
            raise RunHeld(
                f"run {run_id} finished {reached.steps} steps; it can be forked from step {reached.steps + 1} at most"
            )
        spec = replace(
            order.spec,
            run_id=secrets.token_hex(8),
            pipeline=pipeline,
            seed=order.spec.seed if seed is None else seed,
            stream=watch is not None,
        )
        routes = {alias: order.routes.get(alias) or self._routes(alias) for alias in models_of(pipeline)}
        forked = RunForked(from_run=run_id, steps=reached.steps)
        opening = Opening(reached, Before(), (started(spec), forked, *inherited))
        run = Run(spec.run_id, Trace(spec.run_id, pipeline.name, spec.question, spec.seed))
        return self._begin(run, Order(spec, routes, order.simulated), watch, opening)

    def _routes(self, alias: str) -> tuple[Route, ...]:
        named = (Route(model=alias),) if "/" in alias else ()
        return tuple(self.config.models.get(alias, named))

    async def pipeline_of(self, run_id: str) -> Pipeline:
        """Return the pipeline of a run, as it was. Raises `RunUnknown`, `RunHeld`."""
        return self._order(await self._record(run_id)).spec.pipeline

    def _order(self, record: RunRecord) -> Order:
        return ordered(record, simulated=self.backend.simulated)

    def _begin(self, run: Run, order: Order, watch: Emit | None, opening: Opening) -> Run:
        if self._tasks is None:
            raise RuntimeError("runs are started inside `async with runs.open()`")
        self._under_way[run.run_id] = run
        self._retention.due.set()
        self._tasks.start_soon(self._drive, run, order, watch, opening)
        return run

    async def _drive(self, run: Run, order: Order, watch: Emit | None, opening: Opening) -> None:
        tell = tee(run.tell, *((watch,) if watch else ()))
        emit = tee(partial(self.journal.append, run.run_id), tell)

        async def keep(event: Event) -> None:
            try:
                await self.journal.keep(run.run_id, event)
            except anyio.get_cancelled_exc_class():
                tell(event)
                raise
            tell(event)

        usable = remembered(self.backend.usable(order.routes))
        reached = opening.reached or Reached(0, State(order.spec.question))
        budget: Budget | None = None
        began = time.monotonic()
        try:
            if opening.new:
                known = await windows(order.spec.pipeline, usable)
                order = replace(order, spec=replace(order.spec, windows=known))  # a resume makes the same prompts
                async with self._beginning:
                    await self.journal.begin(recorded(order, texts=self.journal.keeps_texts))
                run.on_record = True
            for event in opening.events if opening.reached else (started(order.spec),):
                emit(event)
            with run.scope:
                try:
                    budget = await funded(order.spec, opening, usable, self._purses, self.config.defaults, emit)
                except Unstarted as error:
                    emit(RunFinished(status="failed", answer=None, error=f"{UNASKED}: {error}", seconds=0.0))
                else:
                    await self.backend.ready(order.routes, usable)
                    layers = stack(self.backend.provider, usable, self._shared, emit, keep, opening.before, budget)
                    await execute(order.spec, layers, emit, reached)
            if run.scope.cancelled_caught and run.asked_to_end:
                emit(RunFinished(status="cancelled", answer=None, error=None, seconds=time.monotonic() - began))
        except JournalError as error:
            tell(RunFinished(status="failed", answer=None, error=str(error), seconds=0.0))
        except Exception:  # noqa: BLE001  a fault of ours ends this run alone and reaches the log, not the caller
            _log.exception("run %s stopped on an unexpected fault", run.run_id)
            emit(RunFinished(status="failed", answer=None, error=_FAULT, seconds=0.0))
        finally:
            await self._leave(run, budget)

    async def _leave(self, run: Run, budget: Budget | None) -> None:
        """Give a run up: ended, or unfinished for whoever resumes it."""
        if budget is not None:
            budget.close()
        with anyio.move_on_after(_LAST_WORDS_S, shield=True):
            try:
                await self._purses.write()
                if run.trace.status == "running":
                    await self.journal.release(run.run_id)
                else:
                    await self.journal.finish(run.run_id, run.trace.status)
            except JournalError as error:
                _log.warning("%s", error)
        del self._under_way[run.run_id]
        run.end()

    async def _renew(self) -> None:
        """Keep the leases of own runs; stop those that are another's now, or were cancelled by another."""
        while True:
            await anyio.sleep(RENEW_S)
            try:
                await self._renew_once()
            except JournalError as error:  # the next call of each run finds out, and says so
                _log.warning("%s", error)

    async def _renew_once(self) -> None:
        mine = {run_id: run for run_id, run in self._under_way.items() if run.on_record}
        for run_id in mine.keys() - await self.journal.renew(tuple(mine)):
            record = await self.journal.record(run_id)
            mine[run_id].asked_to_end = record is not None and record.status == "cancelled"
            mine[run_id].scope.cancel()

    def find(self, run_id: str) -> Run | None:
        """Return a run that is under way in this process."""
        return self._under_way.get(run_id)

    async def cancel(self, run_id: str) -> None:
        """End a run, wherever it is driven. Raises `RunUnknown`."""
        run = self.find(run_id)
        if run is not None:
            run.cancel()
            with anyio.move_on_after(_LAST_WORDS_S):
                await run.ended.wait()
        else:
            await self._record(run_id)
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
        """Return a run's trace so far. Raises `RunUnknown`."""
        run = self.find(run_id)
        if run is not None:
            return run.trace
        record = await self._record(run_id)
        return traced(record, await self.journal.events(run_id))

    async def _record(self, run_id: str) -> RunRecord:
        record = await self.journal.record(run_id)
        if record is None:
            raise RunUnknown(run_id)
        return record


_FAULT = "an unexpected fault in moa-mcp stopped the run; the server's log (stderr) tells more"
_ENDED: frozenset[Status] = frozenset({"complete", "degraded"})


def _held(record: RunRecord) -> str:
    if record.status in _ENDED:
        return f"run {record.run_id} is {record.status}; there is nothing to resume"
    return f"run {record.run_id} is driven by another process; wait for it, or cancel it"
