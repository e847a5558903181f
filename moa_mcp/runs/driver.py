"""How a run is driven, from its opening to its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial

import anyio

from moa_mcp.config import Config
from moa_mcp.engine.execute import Reached, RunSpec, execute, started
from moa_mcp.errors import JournalError
from moa_mcp.events import Emit, Event, RunEstimated, RunFinished, tee
from moa_mcp.journal import Journal
from moa_mcp.middleware import Budget, Limits, Shared, stack
from moa_mcp.planning.estimate import Estimate
from moa_mcp.providers.backend import Backend
from moa_mcp.runs.admission import Work
from moa_mcp.runs.funding import Unfunded, funded
from moa_mcp.runs.money import Purses
from moa_mcp.runs.order import Opening, Order, recorded
from moa_mcp.runs.run import Run
from moa_mcp.values import FailureReason, State, Tokens

_BEGINNING = 8
"""Runs that are put on record at once. The first ask their models while others wait for it: begun all together, they
would come to every layer together, too, and all wait there for the processor."""

_log = logging.getLogger(__name__)
_LAST_WORDS_S = 5.0
_UNNOTED_S = 1.0
"""What a run takes to look at its models and its budget is no part of its deadline, if it is less."""
_FAULT = "an unexpected fault in moa-mcp stopped the run; the server's log (stderr) tells more"


class Driver:
    """Drives runs, which share the requests, the purses and the journal of a process."""

    def __init__(self, config: Config, backend: Backend, journal: Journal) -> None:
        self._settings = config.budget
        self._backend = backend
        self._journal = journal
        limits = config.limits
        self._shared = Shared(
            Limits(
                attempts=limits.attempts,
                concurrency=limits.concurrency,
                provider_concurrency=limits.provider_concurrency,
                requests_per_minute=limits.requests_per_minute,
                tokens_per_minute=limits.tokens_per_minute,
            ),
            limits.stall_s,
            cache_first=limits.cache_first,
        )
        self._purses = Purses(config.budget, journal)
        self._beginning = anyio.Semaphore(_BEGINNING)

    async def drive(self, run: Run, work: Work, opening: Opening, watch: Emit | None) -> None:
        """Drive a run until it ends or its scope is cancelled; then leave it, for whoever resumes it."""
        tell = tee(run.tell, *((watch,) if watch else ()))
        emit = tee(partial(self._journal.append, run.run_id), tell)
        keep = partial(self._keep, run.run_id, tell)
        order, usable = work.order, work.usable
        reached = opening.reached or Reached(0, State(order.spec.question))
        budget: Budget | None = None
        began = time.monotonic()
        try:
            if opening.new:
                await self._record(run, order)
            for event in opening.events if opening.reached else (started(order.spec),):
                emit(event)
            if opening.new:
                emit(_estimated(work.estimate, order.spec))
            with run.scope:
                began_to_wait = anyio.current_time()
                try:
                    budget = await funded(order.spec, opening, work.prices, self._purses, self._settings, run.waits)
                except Unfunded as error:
                    emit(_failed(f"no model was called: {error}", error.reason))
                else:
                    spec = _since(order.spec, anyio.current_time() - began_to_wait)
                    await self._backend.ready(order.routes, usable)
                    layers = stack(self._backend.provider, usable, self._shared, emit, keep, opening.before, budget)
                    await execute(spec, layers, emit, reached)
            if run.scope.cancelled_caught and run.asked_to_end:
                emit(RunFinished(status="cancelled", answer=None, error=None, seconds=time.monotonic() - began))
        except JournalError as error:
            tell(_failed(str(error), "journal"))
        except Exception:  # noqa: BLE001  a fault of ours ends this run alone and reaches the log, not the caller
            _log.exception("run %s stopped on an unexpected fault", run.run_id)
            emit(_failed(_FAULT, "internal"))
        finally:
            await self._leave(run, budget)

    async def _record(self, run: Run, order: Order) -> None:
        async with self._beginning:
            await self._journal.begin(recorded(order, texts=self._journal.keeps_texts))
        run.on_record = True

    async def _keep(self, run_id: str, tell: Emit, event: Event) -> None:
        try:
            await self._journal.keep(run_id, event)
        except anyio.get_cancelled_exc_class():
            tell(event)
            raise
        tell(event)

    async def _leave(self, run: Run, budget: Budget | None) -> None:
        """Give a run up: ended, or unfinished for whoever resumes it."""
        if budget is not None:
            budget.close()
        with anyio.move_on_after(_LAST_WORDS_S, shield=True):
            await _warned(self._purses.leave(run.run_id, budget))
            ended = run.trace.status != "running"
            journal = self._journal
            await _warned(journal.finish(run.run_id, run.trace.status) if ended else journal.release(run.run_id))


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
    """Return what is left to do of a run that waited for its budget: that is a part of its time."""
    if spec.deadline_s is None or waited_s < _UNNOTED_S:
        return spec
    return replace(spec, deadline_s=max(0.0, round(spec.deadline_s - waited_s, 1)))


async def _warned(work: Awaitable[None]) -> None:
    """Do what the journal may not take; then it is logged, and what comes after it is done all the same."""
    try:
        await work
    except JournalError as error:
        _log.warning("%s", error)
