"""A run of a batch reaches its end though another process is faster, or takes it over, or the journal fails."""

from __future__ import annotations

from io import BytesIO

import pytest
from msgspec.structs import replace

from moa_mcp.batch.costs import Tariffs
from moa_mcp.batch.ended import ended
from moa_mcp.batch.execution import BatchStopped, Execution
from moa_mcp.batch.identity import BatchSettings
from moa_mcp.batch.items import Item
from moa_mcp.batch.output import OrderedOutput
from moa_mcp.batch.progress import BatchProgress
from moa_mcp.batch.questions import questions
from moa_mcp.batch.spending import BatchBudget
from moa_mcp.batch.spool import spool
from moa_mcp.batch.survey import survey
from moa_mcp.config import Config, load, shipped
from moa_mcp.errors import JournalDamaged, JournalError, LeaseLost
from moa_mcp.events import Event
from moa_mcp.journal import Page, RunRecord
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.providers.backend import simulated
from moa_mcp.runs import NewRun, ResumedRun, RunRefused, Runs
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Question

CONFIG: Config = load(shipped())
NEW = NewRun(pipeline=CONFIG.pipelines["vote"], question=Question("What is 2 + 2?"), run_id="f" * 16, consent="given")
AGAIN = ResumedRun(run_id="f" * 16, consent="given")


class Raced(MemoryJournal):
    """Another process begins the run just after this one has looked for it, and dies."""

    def __init__(self, begun: RunRecord) -> None:
        super().__init__()
        self._begun = begun

    async def record(self, run_id: str) -> RunRecord | None:
        found = await super().record(run_id)
        if found is None:
            await self.begin(replace(self._begun, status="running", owned=False))
            await self.release(run_id)
        return found


class Overtaken(MemoryJournal):
    """Another process takes the run over at its first call, and completes it."""

    async def keep(self, run_id: str, event: Event) -> None:
        del event
        await self.finish(run_id, "complete")
        raise LeaseLost(f"run {run_id} was claimed by another process")


class Full(MemoryJournal):
    """No event can be stored."""

    async def keep(self, run_id: str, event: Event) -> None:
        raise JournalError(f"the disk is full: {run_id} {event.kind}")


class Damaged(MemoryJournal):
    """Its list of runs can be read, and nothing else."""

    async def events(self, run_id: str, after: int = 0) -> Page:
        raise JournalDamaged(f"the journal is damaged, {after} of {len(run_id)}")


async def end(journal: MemoryJournal) -> Trace | RunRefused:
    async with Runs(CONFIG, simulated(0), journal).open() as runs:
        return await ended(runs, NEW, AGAIN)


async def begun() -> RunRecord:
    """Return the record of the run as any process begins it."""
    journal = MemoryJournal()
    await end(journal)
    record = await journal.record(AGAIN.run_id)
    assert record is not None
    return record


@pytest.mark.anyio
async def test_a_run_that_another_process_began_a_moment_earlier_is_resumed() -> None:
    trace = await end(Raced(await begun()))
    assert isinstance(trace, Trace)
    assert (trace.status, trace.resumed) == ("complete", 1)


@pytest.mark.anyio
async def test_the_result_of_a_run_that_another_process_took_over_is_read() -> None:
    trace = await end(Overtaken())
    assert isinstance(trace, Trace)
    assert (trace.status, trace.error) == ("complete", None)


@pytest.mark.anyio
async def test_a_journal_that_cannot_store_a_run_is_an_error_and_no_result() -> None:
    """Inside of `open`, because its task group would wrap the error."""
    async with Runs(CONFIG, simulated(0), Full()).open() as runs:
        with pytest.raises(JournalError, match="the disk is full"):
            await ended(runs, NEW, AGAIN)


@pytest.mark.anyio
async def test_a_damaged_journal_stops_a_batch_before_and_while_it_runs() -> None:
    journal, written = Damaged(), BytesIO()
    runs = Runs(CONFIG, simulated(0), journal)
    tariffs = Tariffs(NEW.pipeline, {})
    with spool() as items, spool() as waiting:
        items.add(Item(1, "Why?").dumped())
        every = questions(CONFIG, NEW.pipeline, BatchSettings("q"), items, simulated=True)
        execution = Execution(
            runs,
            every,
            tariffs,
            BatchBudget(None),
            OrderedOutput(written, waiting),
            BatchProgress(1),
            retry_failed=False,
            concurrency=1,
        )
        with pytest.raises(BatchStopped, match="the journal is damaged"):
            await execution.run()
        await journal.begin(replace(await begun(), batch=every.identity.batch))
        with pytest.raises(JournalDamaged):
            await survey(every, journal, tariffs.prices, retry_failed=False)
    assert written.getvalue() == b""
