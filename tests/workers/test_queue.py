"""The queue between servers and workers: every run is delivered, whatever happens to processes and the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest

from moa_mcp.config import Config
from moa_mcp.errors import JournalError, RunNotResumable
from moa_mcp.events import Event, TextReceived
from moa_mcp.journal import Page
from moa_mcp.journal.owners import me
from moa_mcp.journal.postgres import LEASE_S, PostgresJournal
from moa_mcp.journal.spending import Commitment
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import ResumedRun, Runs
from moa_mcp.runs.executor import Executor
from moa_mcp.values import Call, Completion, Question
from moa_mcp.workers import Queue, Submitting, Worker, migrating
from tests.support.database import Cluster, rows
from tests.support.journals import PANEL, record_of
from tests.support.layers import at
from tests.support.starting import ready, start_run

pytestmark = pytest.mark.anyio
DEAD = f"{me().partition(':')[0]}:4194305:1:x:1"
"""An owner on this machine. No process has so large an ID."""
_JOBS = "SELECT args->>'run_id', status::text FROM moa_queue.procrastinate_jobs ORDER BY id"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the driver knows no other


@pytest.fixture
async def journal(database: str) -> AsyncIterator[PostgresJournal]:
    journal = PostgresJournal(database, delivery=Queue(database, lease_s=LEASE_S))
    yield journal
    await journal.close()


class Taken:
    """What a worker has taken, and whose runs have ended at once."""

    def __init__(self, *, fails: int = 0) -> None:
        self.run_ids: list[str] = []
        self._fails = fails
        self._changed = anyio.Event()

    async def take(self, run_id: str) -> anyio.Event | None:
        self._fails -= 1
        if self._fails >= 0:
            raise JournalError("the journal is away")
        self.run_ids.append(run_id)
        self._changed.set()
        return None

    async def number(self, count: int) -> None:
        with anyio.fail_after(30):
            while len(self.run_ids) < count:
                self._changed = anyio.Event()
                await self._changed.wait()


@asynccontextmanager
async def working(queue: Queue, taken: Taken) -> AsyncIterator[None]:
    stop = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(queue.work, taken.take, at_once=2, stop=stop))
        yield
        stop.set()


async def test_runs_are_delivered_in_order_once_and_their_messages_are_deleted(
    database: str, journal: PostgresJournal
) -> None:
    for number in range(5):
        assert await journal.begin(record_of(f"r{number}"), queued=True)
    taken = Taken()
    async with working(Queue(database, lease_s=LEASE_S), taken):
        await taken.number(5)
        assert await journal.begin(record_of("later"), queued=True)
        await taken.number(6)
    assert taken.run_ids == ["r0", "r1", "r2", "r3", "r4", "later"]
    assert rows(database, _JOBS) == []
    assert rows(database, "SELECT * FROM moa_queue.procrastinate_workers") == []


async def test_a_run_is_delivered_again_if_the_journal_was_away(database: str, journal: PostgresJournal) -> None:
    assert await journal.begin(record_of(), queued=True)
    taken = Taken(fails=2)
    async with working(Queue(database, lease_s=LEASE_S), taken):
        await taken.number(1)
    assert (taken.run_ids, rows(database, _JOBS)) == (["r"], [])


async def test_a_message_that_a_dead_worker_had_taken_is_put_back_once(database: str, journal: PostgresJournal) -> None:
    assert await journal.begin(record_of(), queued=True)
    rows(database, "SET search_path TO moa_queue; UPDATE procrastinate_jobs SET status = 'doing'")
    first, second = Queue(database, lease_s=LEASE_S), Queue(database, lease_s=LEASE_S)
    revived = [await first.revive(), await second.revive()]
    assert (revived, rows(database, _JOBS)) == ([1, 0], [("r", "todo")])
    taken = Taken()
    async with working(second, taken):
        await taken.number(1)
    async with working(first, Taken()):
        pass


async def test_runs_are_delivered_after_all_connections_of_the_queue_broke(
    cluster: Cluster, database: str, journal: PostgresJournal, caplog: pytest.LogCaptureFixture
) -> None:
    taken = Taken()
    async with working(Queue(database, lease_s=0.3), taken):
        assert await journal.begin(record_of("before"), queued=True)
        await taken.number(1)
        cluster.disconnect()
        assert await journal.begin(record_of("after"), queued=True)
        await taken.number(2)
    assert taken.run_ids == ["before", "after"]
    assert rows(database, _JOBS) == []
    assert "pass-of-tests" not in caplog.text


async def test_runs_are_delivered_after_an_outage_of_the_database_of_which_one_line_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Cluster() as own:
        address = own.create()
        journal = PostgresJournal(address, delivery=Queue(address, lease_s=LEASE_S))
        taken = Taken()
        async with working(Queue(address, lease_s=0.3), taken):
            assert await journal.begin(record_of("before"), queued=True)
            await taken.number(1)
            own.stop()
            with anyio.fail_after(30):
                while "can't be reached" not in caplog.text:  # noqa: ASYNC110  a log tells of no changes
                    await anyio.sleep(0.01)
            own.start()
            assert await journal.begin(record_of("after"), queued=True)
            await taken.number(2)
        await journal.close()
    assert taken.run_ids == ["before", "after"]
    assert caplog.text.count("the queue can't be reached") == caplog.text.count("can be reached again") == 1


async def test_a_run_without_a_provider_at_the_worker_fails_with_the_reason_and_an_unknown_one_is_left_out(
    database: str,
) -> None:
    async def model(call: Call) -> Completion:
        raise AssertionError(call)

    queue = Queue(database, lease_s=LEASE_S)
    here, there = (PostgresJournal(database, delivery=queue) for _ in range(2))
    able, stop = Backend(model, lambda _: at("p/m")), anyio.Event()
    async with (
        Runs(PANEL, Backend(model, lambda _: at()), there, (), partial(Executor, requeues=True)).open() as works,
        Runs(PANEL, able, here, (), Submitting).open() as submits,
        anyio.create_task_group() as tasks,
    ):
        run = await start_run(submits, PANEL.pipelines["p"], Question("Why?"))
        assert await here.begin(record_of("gone"), queued=True)
        rows(database, "DELETE FROM moa.runs WHERE run_id = 'gone'")
        tasks.start_soon(Worker(works, queue, at_once=2, drain_s=0).work, stop, anyio.Event())
        with anyio.fail_after(30):
            await run.ended.wait()
        stop.set()
    assert (run.trace.status, run.trace.reason) == ("failed", "no_provider")
    assert rows(database, _JOBS) == []


class FreedMeanwhile(PostgresJournal):
    """A journal in which another worker frees the runs of a dead one just after this one has read of them."""

    async def events(self, run_id: str, after: int = 0) -> Page:
        page = await super().events(run_id, after)
        if page.record.owned:
            self.own(DEAD)
            await self.free_dead()
        return page

    def own(self, owner: str) -> None:
        rows(self.address, "UPDATE moa.runs SET status = 'running', owner = %s, lease_until = moa.now() + 60", owner)

    address = ""


async def test_a_run_does_not_fail_when_its_message_comes_before_the_death_of_its_worker_is_noticed(
    database: str,
) -> None:
    async def model(call: Call) -> Completion:
        return Completion("An answer.", call.agent)

    queue = Queue(database, lease_s=LEASE_S)
    here, there = PostgresJournal(database, delivery=queue), FreedMeanwhile(database, delivery=queue)
    there.address = database
    backend, stop = Backend(model, lambda _: at("p/m")), anyio.Event()
    async with (
        Runs(PANEL, backend, there, (), partial(Executor, requeues=True)).open() as works,
        Runs(PANEL, backend, here, (), Submitting).open() as submits,
        anyio.create_task_group() as tasks,
    ):
        run = await start_run(submits, PANEL.pipelines["p"], Question("Why?"))
        there.own("another-machine/1:1:1:x:1")
        tasks.start_soon(Worker(works, queue, at_once=2, drain_s=0).work, stop, anyio.Event())
        with anyio.fail_after(30):
            await run.ended.wait()
        stop.set()
    assert (run.trace.status, run.trace.error) == ("complete", None)
    assert rows(database, _JOBS) == []


async def test_what_the_run_of_a_dead_worker_holds_is_left_to_the_next_worker(
    database: str, journal: PostgresJournal
) -> None:
    assert await journal.begin(record_of(), queued=True)
    assert await journal.claim("r")
    day = (await journal.commit_spending(Commitment("r", 50, None, 30))).day
    rows(database, "UPDATE moa.runs SET owner = %s", DEAD)
    assert (await journal.held(day), await journal.held(day, dead=True)) == ({}, {})
    assert await journal.free_dead() == {"r"}
    assert rows(database, _JOBS) == [("r", "todo"), ("r", "todo")]


async def test_without_its_database_a_queue_says_that_it_can_not_be_reached() -> None:
    queue = Queue("postgresql://moa:secret@127.0.0.1:1/none?connect_timeout=1", lease_s=LEASE_S)
    with pytest.raises(JournalError, match="the queue can't be reached"):
        await queue.revive()


async def test_the_tables_of_a_newer_queue_are_refused_and_of_an_older_one_upgraded(
    database: str, journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.open()
    steps = migrating.steps()
    later = {**steps, "99.00.00_01": b"CREATE TABLE moa_queue.later()"}
    monkeypatch.setattr(migrating, "steps", lambda: later)
    upgraded = PostgresJournal(database, delivery=Queue(database, lease_s=LEASE_S))
    await upgraded.open()
    await upgraded.close()
    try:
        assert rows(database, "SELECT to_regclass('moa_queue.later') IS NOT NULL") == [(True,)]
        monkeypatch.setattr(migrating, "steps", lambda: steps)
        older = PostgresJournal(database, delivery=Queue(database, lease_s=LEASE_S))
        with pytest.raises(JournalError, match="upgraded by a newer version"):
            await older.open()
        await older.close()
    finally:
        rows(database, "DROP TABLE moa_queue.later; DELETE FROM moa_queue.migrations WHERE name > '99'")


async def test_a_run_that_is_cancelled_while_a_worker_takes_it_is_not_executed(database: str) -> None:
    asked = list[Call]()

    async def model(call: Call) -> Completion:
        asked.append(call)
        return Completion("An answer.", "p/m")

    journal = PostgresJournal(database, delivery=Queue(database, lease_s=LEASE_S))
    backend = Backend(model, lambda _: at("p/m"))
    async with (
        Runs(PANEL, backend, journal, (), Submitting).open() as submits,
        Runs(PANEL, backend, PostgresJournal(database), ()).open() as works,
    ):
        run = await start_run(submits, PANEL.pipelines["p"], Question("Why?"))
        admitted = await ready(works, ResumedRun(run_id=run.run_id, consent="given", unless_ended=True))
        await submits.cancel(run.run_id)
        with pytest.raises(RunNotResumable, match=f"run {run.run_id} is cancelled"):
            await works.start(admitted)
        record = await works.record(run.run_id)
    assert (record.status, record.owned, asked) == ("cancelled", False, [])


async def test_the_text_of_the_last_answer_reaches_who_watches_at_the_server(database: str) -> None:
    async def model(call: Call) -> Completion:
        if call.on_text is not None:
            for piece in ("An ", "answer."):
                call.on_text(piece)
                await arrived(piece)
        return Completion("An answer.", "p/m")

    seen: list[Event] = []
    changed = anyio.Event()

    def watch(event: Event) -> None:
        seen.append(event)
        changed.set()

    async def arrived(piece: str) -> None:
        nonlocal changed
        with anyio.move_on_after(20):
            while not any(isinstance(each, TextReceived) and each.text == piece for each in seen):
                changed = anyio.Event()
                await changed.wait()

    queue = Queue(database, lease_s=LEASE_S)
    here, there = (PostgresJournal(database, delivery=queue) for _ in range(2))
    backend, stop = Backend(model, lambda _: at("p/m")), anyio.Event()
    config: Config = PANEL
    async with (
        Runs(config, backend, there, (), partial(Executor, requeues=True)).open() as works,
        Runs(config, backend, here, (), Submitting).open() as submits,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(Worker(works, queue, at_once=2, drain_s=0).work, stop, anyio.Event())
        run = await start_run(submits, config.pipelines["p"], Question("Why?"), watch=watch)
        with anyio.fail_after(30):
            await run.ended.wait()
        stop.set()
    assert (run.trace.status, run.trace.answer) == ("complete", "An answer.")
    assert "".join(each.text for each in seen if isinstance(each, TextReceived)) == "An answer."
