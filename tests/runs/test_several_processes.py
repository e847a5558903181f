"""Runs of several processes on one journal: recorded before anybody is told, queued, cancelled, waited for by news."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from moa_mcp.errors import JournalError, RunNotFound, RunNotResumable
from moa_mcp.journal import Claim, RunRecord
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.journal.news import News
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.runs import NewRun, Run, Runs, leases, watching
from moa_mcp.runs.record import record_of as stored
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Call, Question
from tests.support.journals import CALLS, PANEL, config_of, record_of, runs_of
from tests.support.starting import ready, resume_run, start_run

pytestmark = pytest.mark.anyio
P, Q = PANEL.pipelines["p"], Question("Why?")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a journal in a file knows no other


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


async def hangs(_: Call) -> str:
    await anyio.sleep_forever()
    raise NotImplementedError


async def queued(journal: MemoryJournal | SQLiteJournal) -> str:
    """Put a run in the queue, as a process does that executes none; return its ID."""
    runs = runs_of(ScriptedModel(), journal)
    work = (await ready(runs, NewRun(pipeline=P, question=Q))).work
    assert work is not None
    assert await journal.begin(stored(work.stored, texts=True), queued=True)
    return work.stored.spec.run_id


async def test_a_run_is_on_record_when_its_id_is_told_and_not_if_its_start_is_cancelled(path: Path) -> None:
    journal = SQLiteJournal(path)
    async with runs_of(ScriptedModel(otherwise=hangs), journal).open() as runs:
        run = await start_run(runs, P, Q)
        record = await journal.record(run.run_id)
        assert record is not None
        assert (record.status, record.owned) == ("running", True)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await start_run(runs, P, Q)
        assert [each.run_id for each in await journal.records()] == [run.run_id]


class Slow(MemoryJournal):
    """Waits before it puts a run on record."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.free = anyio.Event(), anyio.Event()

    async def begin(self, record: RunRecord, *, queued: bool = False, max_runs: int | None = None) -> bool:
        self.asked.set()
        await self.free.wait()
        return await super().begin(record, queued=queued, max_runs=max_runs)


async def test_a_run_whose_request_is_cancelled_while_it_is_being_recorded_goes_on() -> None:
    journal = Slow()
    async with runs_of(ScriptedModel(), journal).open() as runs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start_run, runs, P, Q)
            await journal.asked.wait()
            tasks.cancel_scope.cancel()
            journal.free.set()
        await runs.idle()
        (record,) = await journal.records()
    assert record.status == "complete"


async def test_a_run_whose_id_is_known_is_not_started(path: Path) -> None:
    journal, model = SQLiteJournal(path), ScriptedModel()
    async with runs_of(model, journal).open() as runs:
        admitted = await ready(runs, NewRun(pipeline=P, question=Q))
        await journal.begin(record_of(admitted.run_id))
        with pytest.raises(RunNotResumable, match="was begun before"):
            await runs.start(admitted)
        assert runs.find(admitted.run_id) is None
    assert model.calls == []


async def test_outside_of_their_scope_no_run_is_recorded(path: Path) -> None:
    journal = SQLiteJournal(path)
    runs = runs_of(ScriptedModel(), journal)
    with pytest.raises(RuntimeError, match="inside"):
        await start_run(runs, P, Q)
    assert await journal.records() == ()
    await journal.close()


async def test_a_queued_run_is_executed_by_whom_it_is_given_to_and_by_nobody_else(path: Path) -> None:
    model, config = ScriptedModel(), config_of(settings='journal.resume = "auto"')
    journal = SQLiteJournal(path)
    run_id = await queued(journal)
    async with runs_of(model, journal, config).open() as runs:
        await anyio.wait_all_tasks_blocked()
        trace = await runs.trace(run_id)
        assert (trace.status, trace.interrupted, trace.question.text) == ("queued", False, "Why?")
        assert trace.waiting == "waiting in the queue"
        assert model.calls == []
        run = await resume_run(runs, run_id)
        with anyio.fail_after(5):
            await run.ended.wait()
    assert (run.trace.status, run.trace.resumed, len(model.calls)) == ("complete", 0, CALLS)
    assert run.trace.estimated is not None


async def test_a_queued_run_that_is_cancelled_is_not_executed(path: Path) -> None:
    journal = SQLiteJournal(path)
    run_id = await queued(journal)
    async with runs_of(ScriptedModel(), journal).open() as runs:
        await runs.cancel(run_id)
        assert (await runs.inactive(run_id)).status == "cancelled"


async def test_a_run_that_another_process_cancels_stops_at_once(path: Path) -> None:
    journal, other = SQLiteJournal(path), SQLiteJournal(path)
    model = ScriptedModel(otherwise=hangs)
    async with runs_of(model, journal).open() as runs:
        for number in (1, 2):  # it goes on listening
            run = await start_run(runs, P, Q)
            with anyio.fail_after(leases.RENEW_S / 2):
                while len(model.calls) < 3 * number:
                    await run.changed()
                await other.cancel(run.run_id)
                await run.ended.wait()
            assert (run.trace.status, run.cancel_requested) == ("cancelled", True)
    await other.close()


class Quiet(MemoryJournal):
    """Loses all news but that some were lost, and fails to tell any at first."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 1

    def tell(self, news: News) -> None:
        if news.kind == "missed":
            super().tell(news)

    async def record(self, run_id: str) -> RunRecord | None:
        self.failures -= 1
        if self.failures == 0:
            raise JournalError("it can't be read for a moment")
        return await super().record(run_id)


async def test_a_cancellation_whose_news_was_lost_is_seen_when_that_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leases, "RENEW_S", 0.01)
    journal = Quiet()
    async with runs_of(ScriptedModel(otherwise=hangs), journal).open() as runs:
        runs_alive = [await start_run(runs, P, Q) for _ in range(2)]
        monkeypatch.setattr(leases, "RENEW_S", 9.0)
        await MemoryJournal.cancel(journal, runs_alive[0].run_id)
        with anyio.fail_after(5):
            while not runs_alive[0].ended.is_set():
                journal.tell(News("missed"))
                await anyio.lowlevel.checkpoint()
        assert not runs_alive[1].ended.is_set()
    assert "it can't be read for a moment" in caplog.text


async def test_who_waits_learns_of_the_end_and_of_the_release_of_a_run_by_news(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_S", 1000.0)
    owner, journal = SQLiteJournal(path), SQLiteJournal(path)
    runs = runs_of(ScriptedModel(), journal)
    found: dict[str, RunRecord] = {}

    async def wait(run_id: str) -> None:
        found[run_id] = await runs.inactive(run_id)

    for run_id in ("ended", "released", "cancelled", "queued"):
        await owner.begin(record_of(run_id), queued=run_id == "queued")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for run_id in ("ended", "released", "cancelled", "queued"):
                tasks.start_soon(wait, run_id)
            await anyio.wait_all_tasks_blocked()
            await owner.finish("ended", "complete")
            await owner.release("released")
            await owner.cancel("cancelled")
            await owner.cancel("queued")
    states = {run_id: (each.status, each.owned) for run_id, each in found.items()}
    assert states == {
        "ended": ("complete", False),
        "released": ("running", False),
        "cancelled": ("cancelled", False),
        "queued": ("cancelled", False),
    }
    for each in (owner, journal):
        await each.close()


async def test_who_waits_for_a_run_sees_that_its_process_died_without_news(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_S", 0.01)
    journal = SQLiteJournal(path, lease_s=0.1)
    await journal.begin(record_of())
    runs = runs_of(ScriptedModel(), journal)
    with anyio.fail_after(5):
        assert not (await runs.inactive("r")).owned
        with pytest.raises(RunNotFound):
            await runs.inactive("unknown")
        async with runs.changes("r") as change:
            await change()  # nothing happens
    await journal.close()


class Stuck(SQLiteJournal):
    """Claims one run only when it is told to."""

    slow, claimed = "", anyio.Event()

    async def claim(self, run_id: str, *, max_runs: int | None = None) -> Claim | None:
        if run_id == self.slow:
            await self.claimed.wait()
        return await super().claim(run_id, max_runs=max_runs)


async def left(path: Path) -> str:
    """Leave a run behind; return its ID."""
    async with runs_of(ScriptedModel(otherwise=hangs), SQLiteJournal(path)).open() as runs:
        return (await start_run(runs, P, Q)).run_id


async def test_a_run_is_resumed_while_the_resumption_of_another_waits(path: Path) -> None:
    first, second = await left(path), await left(path)
    journal = Stuck(path)
    journal.slow, journal.claimed = first, anyio.Event()
    resumed: list[Run] = []

    async def resume(runs: Runs, run_id: str) -> None:
        resumed.append(await resume_run(runs, run_id))

    with anyio.fail_after(5):
        async with runs_of(ScriptedModel(), journal).open() as runs:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(resume, runs, first)
                tasks.start_soon(resume, runs, first)  # gets the same run
                await anyio.wait_all_tasks_blocked()
                await (await resume_run(runs, second)).ended.wait()
                journal.claimed.set()
            await runs.idle()
    assert [each.run_id for each in resumed] == [first, first]
    assert resumed[0] is resumed[1]
