"""Asks pipelines for an evaluation: each run is started, continued or read, recorded, budgeted and paid once."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias
from weakref import WeakValueDictionary

import anyio
from msgspec import Struct, field

from moa_mcp.batch.costs import Tariffs, tariffs
from moa_mcp.batch.ended import concerns, ended, left_to_run
from moa_mcp.batch.spending import BatchBudget
from moa_mcp.budget.worst_case import nanodollars, rounded
from moa_mcp.config import Pipeline
from moa_mcp.errors import JournalDamaged, MoaError, RunNotFound, RunNotResumable
from moa_mcp.evaluation.asking import EvalRun
from moa_mcp.evaluation.execution.identities import RunIdentities, RunIdentity
from moa_mcp.runs import NewRun, ResumedRun, RunRefused, Runs, traced
from moa_mcp.runs.caps import earlier
from moa_mcp.trace.costs import KnownCost, calls_of, known_cost
from moa_mcp.trace.trace import Trace
from moa_mcp.values import COMPLETE, Question

_NANO = Decimal(10**9)
Failed: TypeAlias = MoaError | OSError


class EvalCosts(Struct):
    """What the runs of an evaluation have cost: those of this start and the recorded ones that it reads."""

    costs: dict[str, KnownCost] = field(default_factory=dict[str, KnownCost])
    """By run."""
    spent: dict[str, int] = field(default_factory=dict[str, int])
    """By run, as its budget counts it: in billionths of a US dollar, with what may have been paid."""
    not_started: dict[Pipeline, list[Question]] = field(default_factory=dict[Pipeline, list[Question]])
    """By pipeline: the questions whose runs the budget did not allow."""
    before: int = 0
    """What was spent before this start, in billionths of a US dollar."""
    largest: int = 0
    """The largest worst case of them, in billionths of a US dollar."""

    cost_usd: Decimal = Decimal(0)
    """The known cost of all runs in US dollars."""
    unknown_costs: int = 0
    """The number of requests whose cost is unknown."""

    def add(self, run_id: str, cost: KnownCost) -> None:
        """Record what a run has cost until now, instead of what is recorded of it."""
        before = self.costs.get(run_id, KnownCost(Decimal(0), 0))
        self.costs[run_id] = cost
        self.cost_usd += cost.usd - before.usd
        self.unknown_costs += cost.unknown - before.unknown


class Replied(EvalRun, frozen=True):
    """What a run of an evaluation returned, and how it ended."""

    not_started: bool = False
    """Whether the budget did not allow it."""
    fresh: bool = False
    """Whether it ended in this start."""


class Asker(Struct, eq=False):
    """Asks pipelines. It is what scoring calls to ask a judge."""

    runs: Runs
    identities: RunIdentities
    batch: str
    """What its runs are listed under."""
    budget: BatchBudget
    ledger: EvalCosts
    limiter: anyio.CapacityLimiter
    """For the runs that are active at the same time."""
    retry_failed: bool
    stop: Callable[[Failed], None] = field(default=lambda _: None)
    """Ends the evaluation, for a reason that concerns all of its runs."""
    changed: Callable[[], None] = field(default=lambda: None)
    """Is called when the costs changed."""
    _tariffs: dict[Pipeline, Tariffs] = field(default_factory=dict[Pipeline, Tariffs])
    _turns: WeakValueDictionary[str, anyio.Lock] = field(default_factory=WeakValueDictionary[str, anyio.Lock])
    """By run: its second caller waits for the first."""

    async def __call__(self, pipeline: Pipeline, question: Question, *, repetition: int = 0) -> Replied:
        """Return what a pipeline replies to a question. The same request is the same run."""
        return await self.reply(pipeline, question, self.identities.of_question(pipeline, question, repetition))

    async def reply(self, pipeline: Pipeline, question: Question, identity: RunIdentity) -> Replied:
        """Return what the run with this identity returned. A journal that can't be used ends the evaluation."""
        turn = self._turns.setdefault(identity.run_id, anyio.Lock())
        async with turn:
            try:
                return await self._replied(pipeline, pipeline.asked(question), identity)
            except JournalDamaged as error:
                if not concerns(error, identity.run_id):
                    self.stop(error)
                return Replied(identity.run_id, None, str(error))
            except RunNotResumable as error:
                return Replied(identity.run_id, None, str(error))
            except (MoaError, OSError) as error:
                self.stop(error)
                return Replied(identity.run_id, None, str(error))

    async def _replied(self, pipeline: Pipeline, question: Question, identity: RunIdentity) -> Replied:
        recorded = await recorded_trace(self.runs, identity.run_id, retry_failed=self.retry_failed)
        if recorded is not None:
            await self.count(pipeline, identity.run_id, recorded)
            return Replied(identity.run_id, recorded, _problem(recorded))
        async with self.limiter:
            return await self._executed(pipeline, question, identity)

    async def _executed(self, pipeline: Pipeline, question: Question, identity: RunIdentity) -> Replied:
        """Execute a run as soon as its whole worst case fits the budget."""
        run_id = identity.run_id
        await self.count(pipeline, run_id)
        whole = 0 if self.budget.limit is None else await self.worst_case(pipeline, question)
        held = await self.budget.hold(whole, whole)
        if held is None:
            self.ledger.not_started.setdefault(pipeline, []).append(question)
            self.ledger.largest = max(self.ledger.largest, whole)
            why = f"not started: its run may cost up to ${rounded(whole / _NANO)}, more than the rest of the budget"
            return Replied(run_id, None, why, not_started=True)
        before = self.ledger.spent.get(run_id, 0)
        try:
            result = await ended(self.runs, *self._requests(pipeline, question, identity, before + held))
        except BaseException:
            self.budget.settle(held, 0)
            raise
        if isinstance(result, RunRefused):
            self.budget.settle(held, 0)
            return Replied(run_id, None, result.message)
        now = await self._spent(pipeline, run_id)
        self.ledger.spent[run_id] = now
        self.budget.settle(held, now - before)
        self._tell(result, run_id)
        return Replied(run_id, result, _problem(result), fresh=True)

    def _requests(
        self, pipeline: Pipeline, question: Question, identity: RunIdentity, enough: int
    ) -> tuple[NewRun, ResumedRun]:
        """Return the requests that start and resume a run. With a budget, its limit covers its whole worst case."""
        limit = enough / _NANO if self.budget.limit is not None and enough else None
        new = NewRun(
            run_id=identity.run_id,
            batch=self.batch,
            pipeline=pipeline,
            question=question,
            seed=identity.seed,
            max_cost_usd=limit,
            consent="given",
            entire=True,
        )
        return new, ResumedRun(run_id=identity.run_id, max_cost_usd=limit, consent="given")

    async def worst_case(self, pipeline: Pipeline, question: Question) -> int:
        """Return the most that a run may cost, in billionths of a US dollar; zero without known prices."""
        whole = (await self.tariffs(pipeline)).needs(question).whole
        own = pipeline.max_cost_usd or self.runs.config.budget.max_cost_usd
        return whole if own is None else min(whole, nanodollars(own))

    async def tariffs(self, pipeline: Pipeline) -> Tariffs:
        """Return the models that would answer now, with their prices."""
        known = self._tariffs.get(pipeline)
        if known is None:
            known = self._tariffs[pipeline] = await tariffs(self.runs, pipeline)
        return known

    def forget(self) -> None:
        """Count nothing that was spent before this start any longer: it is counted again when it is met."""
        self.budget.spent -= sum(self.ledger.spent.values())
        self.ledger.spent.clear()

    async def count(self, pipeline: Pipeline, run_id: str, trace: Trace | None = None) -> None:
        """Count what a run has spent before this start, once; `trace` is its recorded result, if it has one."""
        if self.budget.limit is not None and run_id not in self.ledger.spent:
            self.ledger.spent[run_id] = await self._spent(pipeline, run_id)
            self.budget.spent += self.ledger.spent[run_id]
        if trace is not None:
            self._tell(trace, run_id)

    async def _spent(self, pipeline: Pipeline, run_id: str) -> int:
        if self.budget.limit is None:
            return 0
        prices = (await self.tariffs(pipeline)).prices
        try:
            return earlier((await self.runs.events(run_id)).events, prices).nanodollars
        except RunNotFound:
            return 0

    def _tell(self, trace: Trace, run_id: str) -> None:
        self.ledger.add(run_id, known_cost(calls_of(trace)))
        self.changed()


async def recorded_trace(runs: Runs, run_id: str, *, retry_failed: bool) -> Trace | None:
    """Return the recorded result of a run; None if there is none, or if the next start continues it."""
    try:
        events, _, record = await runs.events(run_id)
    except RunNotFound:
        return None
    return None if left_to_run(record, events, retry_failed=retry_failed) else traced(record, events)


def _problem(trace: Trace) -> str:
    """Return why a run has no answer; empty if it has one."""
    return "" if trace.status in COMPLETE and trace.answer is not None else trace.error or f"its run is {trace.status}"
