"""Executes the items of a batch, several at once. Each has a line in the output as soon as it has a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import anyio

from moa_mcp.batch.costs import Tariffs
from moa_mcp.batch.ended import concerns, ended, left_to_run
from moa_mcp.batch.items import Item
from moa_mcp.batch.lines import NoRun, cost, line, outcome
from moa_mcp.batch.output import OrderedOutput
from moa_mcp.batch.progress import BatchProgress
from moa_mcp.batch.questions import Questions
from moa_mcp.batch.spending import BatchBudget
from moa_mcp.batch.survey import survey
from moa_mcp.errors import BatchActive, JournalDamaged, MoaError, RunNotFound, RunNotResumable
from moa_mcp.files.refused import FileRefused
from moa_mcp.runs import NewRun, ResumedRun, RunRefused, Runs, traced
from moa_mcp.runs.caps import earlier
from moa_mcp.text.money import dollars
from moa_mcp.trace.trace import Trace

_NANO = Decimal(10**9)


class BatchStopped(Exception):
    """The batch can't go on: what is wrong concerns all of its items. It can be continued."""

    def __init__(self, cause: MoaError | OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(slots=True)
class Execution:
    """One start of a batch."""

    runs: Runs
    questions: Questions
    tariffs: Tariffs
    budget: BatchBudget
    output: OrderedOutput
    progress: BatchProgress
    retry_failed: bool
    concurrency: int
    _failure: BatchStopped | None = field(default=None, init=False)

    async def run(self) -> None:
        """Write the line of every item. On cancellation, active runs stop and can be resumed.

        Raises:
            BatchStopped: the journal or the output can't be read or written, or another process would spend as well.

        """
        try:
            async with self.runs.journal.alone(self.questions.identity.batch) as alone:
                if self.budget.limit is not None:
                    await self._count(alone=alone)
                await self._write_all()
        except MoaError as error:
            raise BatchStopped(error) from error

    async def _count(self, *, alone: bool) -> None:
        """Count what other processes have spent until now. Raises `BatchActive` if one is still at it."""
        if not alone:
            raise BatchActive
        prices, retry_failed = self.tariffs.prices, self.retry_failed
        self.budget.spent = (await survey(self.questions, self.runs.journal, prices, retry_failed=retry_failed)).spent

    async def _write_all(self) -> None:
        positions = iter(range(len(self.questions)))
        async with anyio.create_task_group() as tasks:
            for _ in range(min(self.concurrency, len(self.questions))):
                tasks.start_soon(self._work, positions, tasks.cancel_scope.cancel)
        if self._failure is not None:
            raise self._failure

    async def _work(self, positions: Iterator[int], stop: Callable[[], None]) -> None:
        for position in positions:
            try:
                await self._write(position)
            except (MoaError, OSError) as error:
                self._failure = BatchStopped(error)
            if self._failure is not None:
                stop()
                return

    async def _write(self, position: int) -> None:
        """Write the line of an item. Raises `MoaError`, `OSError`."""
        item = self.questions[position]
        run_id = self.questions.identity.run_id(item)
        result: Trace | NoRun
        try:
            recorded, spent = await self._recorded(run_id)
            result = recorded or await self._executed(item, run_id, spent)
        except JournalDamaged as error:
            if not concerns(error, run_id):
                raise
            recorded, result = None, NoRun("failed", "journal", str(error))
        except FileRefused as error:
            recorded, result = None, NoRun("failed", "file", str(error))
        except RunNotResumable as error:
            recorded, result = None, NoRun("failed", "not_resumable", str(error))
        self.output.add(position, line(item, position + 1, self.questions.identity.batch, run_id, result))
        self.progress.add(outcome(result), cost(result), fresh=recorded is None)

    async def _recorded(self, run_id: str) -> tuple[Trace | None, int]:
        """Return the recorded result of a run, or None, and what it has spent so far."""
        try:
            events, _, record = await self.runs.events(run_id)
        except RunNotFound:
            return None, 0
        if left_to_run(record, events, retry_failed=self.retry_failed):
            return None, earlier(events, self.tariffs.prices).nanodollars
        return traced(record, events), 0

    async def _executed(self, item: Item, run_id: str, spent: int) -> Trace | NoRun:
        """Return the result of a run that is started, resumed or followed as soon as the budget allows."""
        whole, least = self.tariffs.needs(self.questions.asked(item))
        held = await self.budget.hold(whole, least)
        if held is None:
            return self._too_expensive(whole)
        new, again = self._requests(item, run_id, spent + held if held else None)
        result = await ended(self.runs, new, again)
        if isinstance(result, RunRefused):
            self.budget.settle(held, 0)
            return NoRun("failed", result.reason, result.message)
        self.budget.settle(held, await self._spent(run_id) - spent)
        return result

    def _requests(self, item: Item, run_id: str, held: int | None) -> tuple[NewRun, ResumedRun]:
        """Return the requests that start and resume the run of an item, with a budget of so many nanodollars."""
        own = [item.budget_usd, None if held is None else held / _NANO]
        cap = min((each for each in own if each is not None), default=None)
        new = NewRun(
            run_id=run_id,
            batch=self.questions.identity.batch,
            pipeline=self.questions.pipeline,
            question=self.questions.asked(item),
            seed=self.questions.identity.seed(item),
            max_cost_usd=cap if self.budget.limit is not None else item.budget_usd,
            deadline_s=item.deadline_s,
            consent="given",
        )
        return new, ResumedRun(run_id=run_id, max_cost_usd=cap, consent="given")

    async def _spent(self, run_id: str) -> int:
        """Return what a run has spent, in nanodollars; zero without a budget, which needs no count."""
        if self.budget.limit is None:
            return 0
        return earlier((await self.runs.events(run_id)).events, self.tariffs.prices).nanodollars

    def _too_expensive(self, whole: int) -> NoRun:
        left = dollars(self.budget.left / _NANO)
        needed = dollars(whole / _NANO)
        return NoRun("not_started", "budget", f"the rest of --max-cost is {left}, and its run may cost up to {needed}")
