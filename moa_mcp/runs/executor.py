"""Executes runs: records the start, opens the budget, executes the pipeline, records the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial

import anyio

from moa_mcp.config import Config, called
from moa_mcp.config.tables import LimitSettings
from moa_mcp.engine.execute import Checkpoint, RunSpec, execute, started
from moa_mcp.errors import JournalError
from moa_mcp.events import Emit, Event, RunEstimated, RunFinished, tee
from moa_mcp.journal import Journal
from moa_mcp.journal.rates import rates_of
from moa_mcp.middleware import Budget, HedgeAllowance, Limits, Shared, stack
from moa_mcp.planning.estimate import Estimate
from moa_mcp.planning.slow_calls import shares
from moa_mcp.providers.backend import Backend
from moa_mcp.runs.admission import Work
from moa_mcp.runs.budgets import BudgetUnavailable, open_budget
from moa_mcp.runs.caps import Caps
from moa_mcp.runs.observers import marked
from moa_mcp.runs.record import StartPoint, record_of
from moa_mcp.runs.run import Run
from moa_mcp.values import FailureReason, State, Tokens

_STARTS_AT_ONCE = 8
"""Maximum number of runs whose start is recorded at the same time. It staggers runs that start together; otherwise
they would reach each layer together and compete there for the CPU."""

_log = logging.getLogger(__name__)
_END_S = 5.0
_NEGLIGIBLE_S = 1.0
"""Seconds; a shorter wait for the budget does not count towards the deadline."""
_INTERNAL_ERROR = "an unexpected error in moa-mcp stopped the run; see the server's log (stderr) for details"


def limits_of(settings: LimitSettings) -> Limits:
    """Return the limits of requests that a configuration sets."""
    return Limits(
        attempts=settings.attempts,
        concurrency=settings.concurrency,
        provider_concurrency=settings.provider_concurrency,
        command_concurrency=settings.command_concurrency,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
    )


class Executor:
    """Executes the runs of a process, which share rate limits, caps and the journal."""

    is_local = True
    """Whether the runs are executed in this process, so that it counts and observes them."""

    def __init__(self, config: Config, backend: Backend, journal: Journal, *, requeues: bool = False) -> None:
        """With `requeues`, runs that are stopped go back into the queue."""
        self._requeues = requeues
        self._settings = config.budget
        self._limits = config.limits
        self._backend = backend
        self._journal = journal
        self._shared = _shared(config.limits, journal)
        self._caps = Caps(config.budget, journal)
        self._starting = anyio.Semaphore(_STARTS_AT_ONCE)

    def use(self, config: Config, backend: Backend) -> None:
        """Use another configuration for runs that start from now on."""
        self._settings = config.budget
        self._backend = backend
        self._caps.use(config.budget)
        if config.limits != self._limits:
            self._limits = config.limits
            self._shared = _shared(config.limits, self._journal, self._shared)

    async def run(self, run: Run, work: Work, start: StartPoint, watch: Emit | None, traceparent: str = "") -> None:
        """Execute a run until it ends or its scope is cancelled. An unfinished run can be resumed."""
        tell = tee(run.tell, *((watch,) if watch else ()))
        emit = tee(partial(self._journal.append, run.run_id), tell)
        keep = partial(self._keep, run.run_id, tell)
        stored, usable = work.stored, work.usable
        backend, shared = self._backend, self._shared  # of its start, whatever is configured later
        checkpoint = start.checkpoint or Checkpoint(0, State(stored.spec.question))
        budget: Budget | None = None
        began = time.monotonic()
        try:
            for event in start.events if start.checkpoint else (started(stored.spec),):
                emit(marked(event, traceparent))
            if start.new:
                emit(_estimated(work.estimate, stored.spec))
            with run.scope:
                began_to_wait = anyio.current_time()
                try:
                    budget = await open_budget(
                        stored, start, work.prices, work.drafts, self._caps, self._settings, run.waits
                    )
                except BudgetUnavailable as error:
                    emit(_failed(f"no model was called: {error}", error.reason))
                else:
                    spec = _since(stored.spec, anyio.current_time() - began_to_wait)
                    await backend.ready(called(spec.pipeline), usable)
                    finished = len(spec.pipeline.steps) - len(work.estimate.steps)
                    allowance = HedgeAllowance(shares(work.estimate, finished))
                    layers = stack(backend.provider, usable, shared, emit, keep, start.paid_calls, budget, allowance)
                    await execute(spec, layers, emit, checkpoint)
            if run.scope.cancelled_caught and run.cancel_requested:
                emit(RunFinished(status="cancelled", answer=None, error=None, seconds=time.monotonic() - began))
        except JournalError as error:
            tell(_failed(str(error), "journal"))
        except Exception:  # noqa: BLE001  a bug ends only this run and is logged, not raised
            _log.exception("run %s stopped on an unexpected error", run.run_id)
            emit(_failed(_INTERNAL_ERROR, "internal"))
        finally:
            await self._leave(run, budget)

    async def record(self, work: Work, *, queued: bool = False, max_runs: int | None = None) -> bool:
        """Record a new run, or put it into the queue; return whether its ID was not known. Raises as `Journal.begin`.

        A caller that is cancelled either learns of it, at once, or the run is not recorded.
        """
        async with self._starting:
            begun = False
            with anyio.CancelScope(shield=True):
                record = record_of(work.stored, texts=self._journal.keeps_texts)
                begun = await self._journal.begin(record, queued=queued, max_runs=max_runs)
        return begun

    async def _keep(self, run_id: str, tell: Emit, event: Event) -> None:
        try:
            await self._journal.keep(run_id, event)
        except anyio.get_cancelled_exc_class():
            tell(event)
            raise
        tell(event)

    async def _leave(self, run: Run, budget: Budget | None) -> None:
        """Record the end of a run, or release an unfinished one so it can be resumed."""
        if budget is not None:
            budget.close()
        with anyio.move_on_after(_END_S, shield=True):
            await _warned(self._caps.leave(run.run_id, budget))
            if run.trace.status == "running":
                await _warned(self._journal.release(run.run_id, requeue=self._requeues))
            else:
                await _warned(self._journal.finish(run.run_id, run.trace.status))


def _shared(limits: LimitSettings, journal: Journal, before: Shared | None = None) -> Shared:
    """Return what the runs of a process share. What was learned about models stays known."""
    shared = Shared(limits_of(limits), limits.stall_s, cache_first=limits.cache_first, rates=rates_of(journal))
    if before is not None:
        shared.learned, shared.observed = before.learned, before.observed
    return shared


def _failed(error: str, reason: FailureReason) -> RunFinished:
    return RunFinished(status="failed", answer=None, error=error, seconds=0.0, reason=reason)


def _estimated(estimate: Estimate, spec: RunSpec) -> RunEstimated:
    sums = (each[0] + each[1] for each in zip(estimate.prompt, estimate.completion, strict=True))
    return RunEstimated(
        calls=estimate.calls,
        tokens=Tokens(*sums),
        cost_usd=estimate.cost_usd,
        unpriced=estimate.unknown,
        max_cost_usd=spec.max_cost_usd,
    )


def _since(spec: RunSpec, waited_s: float) -> RunSpec:
    """Return the run with its deadline reduced by the time that it waited for its budget."""
    if spec.deadline_s is None or waited_s < _NEGLIGIBLE_S:
        return spec
    return replace(spec, deadline_s=max(0.0, round(spec.deadline_s - waited_s, 1)))


async def _warned(work: Awaitable[None]) -> None:
    """Await a journal operation; log its error, so that the caller can continue."""
    try:
        await work
    except JournalError as error:
        _log.warning("%s", error)
