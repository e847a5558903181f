"""All runs of a process, and those on record: started, waited for, cancelled, resumed, looked up.

They live in one task group that the server's lifespan, or a command, owns; the journal holds what outlives the process.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import anyio
from anyio.abc import TaskGroup

from moa_mcp.budget.confirmation import Agreement, needed
from moa_mcp.config import Config, Pipeline, models_of
from moa_mcp.engine.execute import Reached, RunSpec, started
from moa_mcp.errors import JournalError, RunNotFound, RunNotResumable
from moa_mcp.events import Emit, Event, RunForked
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.journal.sqlite.damage import readable
from moa_mcp.middleware import Before
from moa_mcp.providers.backend import Backend
from moa_mcp.routing.routes import Route
from moa_mcp.runs.driver import Driver
from moa_mcp.runs.kept import Kept
from moa_mcp.runs.leases import Leases
from moa_mcp.runs.order import Opening, Order, ordered, reopened, traced, whole
from moa_mcp.runs.retention import Retention
from moa_mcp.runs.run import Run
from moa_mcp.trace import replay
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Question, Status

_log = logging.getLogger(__name__)
_SEEDS = 2**32
_LAST_WORDS_S = 5.0


class Runs:
    """All runs of a process, and those on record."""

    def __init__(self, config: Config, backend: Backend, journal: Journal | None = None) -> None:
        self.config = config
        self.backend = backend
        self.journal = journal or MemoryJournal()
        self._kept = Kept()
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
        return pipeline.max_cost_usd or self.config.budget.max_cost_usd

    async def resume(self, run_id: str, *, max_cost_usd: Decimal | None = None, watch: Emit | None = None) -> Run:
        """Go on with a run that was interrupted, failed or cancelled; what it has paid for is not paid again.

        `max_cost_usd` takes the place of what the run, all of it, was allowed to cost.

        Raises:
            RunNotFound: it is not on record.
            RunNotResumable: it is complete, a living process drives it, or it can't be resumed from here.

        """
        async with self._resuming:  # who asks for the same run meanwhile gets that one
            running = await self.under_way(run_id)
            if running is not None:
                return running
            record = await self._record(run_id)
            order = self._order(record)
            if not await self.journal.is_free(run_id):
                raise RunNotResumable(_held(record))
            events = await self._events(run_id)
            reopened(order, events)  # one that can't be read is left as it is
            with anyio.CancelScope(shield=True):  # a run that is claimed is driven
                if not await self.journal.claim(run_id):
                    raise RunNotResumable(_held(record))
                events = await self._events(run_id)
            spec = replace(order.spec, stream=watch is not None)
            spec = spec if max_cost_usd is None else replace(spec, max_cost_usd=max_cost_usd)
            order = replace(order, spec=spec)
            run, opening = reopened(order, events)
            return self._begin(run, order, watch, opening)

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
                except (
                    RunNotResumable,
                    RunNotFound,
                    JournalError,
                ) as error:  # others were faster, or it needs another server
                    _log.info("%s", error)

    async def fork(
        self,
        run_id: str,
        step: int,
        pipeline: Pipeline,
        *,
        seed: int | None = None,
        max_cost_usd: Decimal | None = None,
        watch: Emit | None = None,
    ) -> Run:
        """Start a new run from the answers that stood before a step of another, paying only for what follows.

        `pipeline` is the other's with changes from that step on; a model new in it is served where the configuration
        says, or is its own route. `max_cost_usd` takes the place of what the other was allowed to cost.

        Raises:
            RunNotFound: the run is not on record.
            RunNotResumable: it did not come so far, or can't be gone on with from here.

        """
        order, reached, inherited = await self._branch(run_id, step, pipeline)
        seconds = replay.before(inherited).seconds
        spec = replace(
            order.spec,
            run_id=secrets.token_hex(8),
            seed=order.spec.seed if seed is None else seed,
            max_cost_usd=max_cost_usd or order.spec.max_cost_usd,
            stream=watch is not None,
        )
        forked = RunForked(from_run=run_id, steps=reached.steps)
        opening = Opening(reached, Before(seconds=seconds), (started(spec), forked, *inherited))
        run = Run(spec.run_id, Trace(spec.run_id, pipeline.name, spec.question, spec.seed))
        return self._begin(run, replace(order, spec=spec), watch, opening)

    async def agreement_to_fork(
        self, run_id: str, step: int, pipeline: Pipeline, max_cost_usd: Decimal | None = None
    ) -> Agreement | None:
        """Return what has to be agreed to before a run is forked, by the limit of today. Raises as `fork` does."""
        order, reached, _ = await self._branch(run_id, step, pipeline)
        today = self.config.pipelines.get(pipeline.name, self.config.budget)
        left = {"steps": pipeline.steps[reached.steps :], "confirm_above_usd": today.confirm_above_usd}
        return await needed(
            pipeline.model_copy(update=left),
            order.spec.question,
            self.backend.usable(order.routes),
            max_cost_usd or order.spec.max_cost_usd,
            reached.state.answers,
        )

    async def _branch(self, run_id: str, step: int, pipeline: Pipeline) -> tuple[Order, Reached, tuple[Event, ...]]:
        """Return how a run goes on that branches off from another: its order, and what it takes over."""
        order = self._order(await self._record(run_id))
        events = await self._events(run_id)
        with readable(run_id):
            inherited = replay.until(events, step)
            reached = replay.reached(order.spec.question, inherited)
        if reached.steps != step - 1:
            raise RunNotResumable(
                f"run {run_id} finished {reached.steps} steps; it can be forked from step {reached.steps + 1} at most"
            )
        routes = {alias: order.routes.get(alias) or self._routes(alias) for alias in models_of(pipeline)}
        return Order(replace(order.spec, pipeline=pipeline), routes, order.simulated), reached, inherited

    def _routes(self, alias: str) -> tuple[Route, ...]:
        named = (Route(model=alias),) if "/" in alias else ()
        return tuple(self.config.models.get(alias, named))

    async def pipeline_of(self, run_id: str) -> Pipeline:
        """Return the pipeline of a run, as it was. Raises `RunNotFound`, `RunNotResumable`."""
        return self._order(await self._record(run_id)).spec.pipeline

    def _order(self, record: RunRecord) -> Order:
        return self._kept.order(record.run_id) or ordered(record, simulated=self.backend.simulated)

    def _begin(self, run: Run, order: Order, watch: Emit | None, opening: Opening) -> Run:
        if self._tasks is None:
            raise RuntimeError("runs are started inside `async with runs.open()`")
        self._under_way[run.run_id] = run
        if not self.journal.keeps_texts:
            watch = self._kept.begin(order, watch)
        self._retention.due.set()
        self._tasks.start_soon(self._drive, run, order, watch, opening)
        return run

    async def _drive(self, run: Run, order: Order, watch: Emit | None, opening: Opening) -> None:
        try:
            await self._driver.drive(run, order, watch, opening)
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
        """Return a run's trace so far. Raises `RunNotFound`."""
        run = await self.under_way(run_id)
        if run is not None:
            return run.trace
        record = await self._record(run_id)
        return traced(record, await self._events(run_id))

    async def _events(self, run_id: str) -> tuple[Event, ...]:
        kept = self._kept.events(run_id)
        return await self.journal.events(run_id) if kept is None else kept

    async def _record(self, run_id: str) -> RunRecord:
        record = await self.journal.record(run_id)
        if record is None:
            raise RunNotFound(run_id)
        return record


_ENDED: frozenset[Status] = frozenset({"complete", "degraded"})


def _held(record: RunRecord) -> str:
    if record.status in _ENDED:
        return f"run {record.run_id} is {record.status}; there is nothing to resume"
    return f"run {record.run_id} is driven by another process; wait for it, or cancel it"
